"""What the telemetry chain writes to the features topic is what the shipped view reads from it."""

import numpy as np

from ingest.stages.rows import Rows
from ingest.telemetry.outputs import FeatureTopic
from mesh.pipeline.plan import Level
from mesh.spec import load_features
from mesh.stores.records import FeatureRecord, RowDecoder
from mesh.stores.views import digest_of
from tests.fakes.feature_rows import T0


class MemoryTopic:
    def __init__(self):
        self.values = []

    async def write(self, records):
        self.values += [value for _, value, _ in records]


async def test_a_window_becomes_a_row_of_the_view(tmp_path):
    (tmp_path / "telemetry.yaml").write_text("sensors: {temp: {}, flow: {}}\nfeatures: [mean, std]\n")
    view = load_features(tmp_path).views["telemetry"]
    features = np.array([[[0.1, 2.0], [3.0, 1e-9]], [[5.0, 6.0], [7.0, 8.0]]])
    topic = MemoryTopic()
    none = np.zeros(2, np.int64)
    rows = Rows(none, ["pump-7", "pump-8"], np.array([T0, T0 + 1]), none, features)
    await FeatureTopic(topic, "telemetry", digest_of(view.columns)).write(rows, Level.FULL)
    found = RowDecoder(view).decode(FeatureRecord(0, at, T0, value) for at, value in enumerate(topic.values))
    assert found.refused == {}
    assert (list(found.rows.entities), found.rows.event_time.tolist()) == (["pump-7", "pump-8"], [T0, T0 + 1])
    assert found.rows.values.tolist() == features.reshape(2, -1).tolist()
