"""A small view, rows of it, and its records as the telemetry chain writes them."""

import json

import numpy as np

from mesh.stores import FeatureBatch, FeatureView, Tiers, digest_of
from mesh.stores.records import FeatureRecord

COLUMNS = ("temp.mean", "temp.std", "flow.mean")
TRANSFORM = digest_of(COLUMNS)
T0 = 1_767_323_045_678
"""2026-01-02T03:04:05.678Z"""


def a_view(**changes) -> FeatureView:
    return FeatureView(
        **{
            "name": "telemetry",
            "columns": COLUMNS,
            "transform": TRANSFORM,
            "topic": "hyperstream.features",
        }
        | changes
    )


def days(count: float) -> int:
    return round(count * 86_400_000)


AGEING = Tiers(cold_after_ms=days(2), retention_ms=days(10))


def a_batch(rows, created=50) -> FeatureBatch:
    """`rows` are (entity, ms after T0) or (entity, ms after T0, first value)."""
    entities = [row[0] for row in rows]
    event = np.array([T0 + row[1] for row in rows], np.int64)
    first = [row[2] if len(row) > 2 else row[1] / 1000 for row in rows]
    values = np.array([[value, value * 2 + 0.1, 3.0] for value in first], np.float64).reshape(-1, 3)
    return FeatureBatch(entities, event, event + created, values)


def a_record(entity, time, offset, partition=0, *, transform=TRANSFORM, values=(1.5, 0.1, -2.0), **more):
    value = {
        "model_id": "telemetry",
        "input_id": f"{entity}@{time}",
        "features": [list(values)],
        "metadata": {"asset": entity, "ts": time, "names": transform},
    }
    return FeatureRecord(partition, offset, time + 500, json.dumps(value | more).encode())
