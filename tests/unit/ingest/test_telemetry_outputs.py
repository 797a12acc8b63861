"""The records that the chain writes, to the letter."""

import json

import numpy as np
from telemetry_bench import MemoryTopic
from telemetry_made import BEGAN_MS, polled, records

from ingest.decode import Opener
from ingest.stages.rows import Rows
from ingest.telemetry.outputs import FeatureTopic, late_records
from mesh.pipeline.plan import Level

ROWS = Rows(
    np.array([4, 2]),
    ["pump-7", "pümp"],
    np.array([BEGAN_MS, BEGAN_MS + 500]),
    np.array([0, 1]),
    np.array([[[1.5, 0.0], [-2.0, 1e-9]], [[3.0, 4.0], [5.0, 6.0]]]),
)


async def test_a_feature_record_is_one_that_the_mesh_can_score() -> None:
    topic = MemoryTopic()
    await FeatureTopic(topic, "anomaly", "d1g").write(ROWS, Level.LIGHT)
    (key, value, headers), (other, _, _) = topic.records
    assert (key, other, headers) == (b"pump-7", "pümp".encode(), ())
    assert value == (
        b'{"model_id":"anomaly","input_id":"pump-7@1700000000000","features":[[1.5,0.0,-2.0,1e-9]],'
        b'"metadata":{"asset":"pump-7","ts":1700000000000,"names":"d1g","level":1}}'
    )
    written = polled({0: (0, [value for _, value, _ in topic.records])})
    (group,), rejected = Opener("default", 10_000).open(written, ["anomaly"])
    assert not rejected
    assert (group.endpoint, list(group.input_ids)) == (
        "anomaly",
        ["pump-7@1700000000000", "pümp@1700000000500"],
    )


async def test_the_same_window_gives_the_same_bytes() -> None:
    one, two = MemoryTopic(), MemoryTopic()
    for topic in (one, two):
        await FeatureTopic(topic, "anomaly", "d1g").write(ROWS, Level.FULL)
    assert one.records == two.records
    assert json.loads(one.records[1][1])["input_id"] == f"pümp@{BEGAN_MS + 500}"


def test_late_records_are_untouched_and_say_where_they_came_from() -> None:
    made = polled({0: (10, records("a", 0, 2)), 3: (70, records("b", 0, 2))})
    found = late_records(made, np.array([1, 3]))
    assert [value for _, value, _ in found] == [made.values[1], made.values[3]]
    assert [headers[-1] for _, _, headers in found] == [
        ("hyperstream.place", "raw-0-11"),
        ("hyperstream.place", "raw-3-71"),
    ]
    assert {(key, headers[0]) for key, _, headers in found} == {(b"key", ("trace", b"1"))}
