"""What is kept while the chain is evaluated, and what only passes through."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from ingest.evaluation import outputs
from ingest.evaluation.outputs import Counted, SeenRows, ToldAlerts
from ingest.evaluation.scoring import Told
from ingest.stages.rows import Rows
from mesh.alerts import AlertEvent, Place
from mesh.errors import InvalidInput
from mesh.pipeline.plan import Level
from mesh.stores.alerts.documents import event_json

PLACE = Place("raw", 0, 1)


def event(kind, at, **values):
    return AlertEvent(
        kind, "id", "far", "warning", "a", "a", 1_000, 2_000, at, 3, "", "", values, PLACE, PLACE
    )


def rows(assets, times, **columns):
    n = len(assets)
    whole = {name: np.array(column) for name, column in columns.items()}
    return Rows(
        np.arange(n), assets, np.array(times, np.int64), np.zeros(n, np.int64), np.zeros((n, 1, 1)), whole
    )


def seen():
    decided = []
    alerting = SimpleNamespace(step=lambda rows, _, level: decided.append((len(rows), level)))
    return SeenRows(alerting, ("z", "score")), decided


def test_an_alert_is_told_once_with_the_sensor_that_it_opened_for():
    told = ToldAlerts()
    events = [event("opened", 2_000, sensor="flow"), event("updated", 5_000), event("cleared", 9_000)]
    asyncio.run(told.write([(b"a", event_json(one), ()) for one in events]))
    assert list(told.told.values()) == [Told("a", "far", 2_000, 9_000, "flow")]


def test_records_are_counted_and_not_kept():
    counted = Counted()
    asyncio.run(counted.write([(b"a", b"four", ()), (None, None, ())]))
    assert counted.records == 2


def test_windows_are_kept_by_asset_and_decided_by_another():
    kept, decided = seen()
    kept.step(rows(["a", "b"], [8, 8], z=[1.5, 2.5], sensor=["flow", "temp"]), None, Level.FULL)
    kept.step(rows(["a"], [16], z=[3.5], score=["high"]), None, Level.LIGHT)
    assert decided == [(2, Level.FULL), (1, Level.LIGHT)]
    assert {asset: times.tolist() for asset, times in kept.times().items()} == {"a": [8, 16], "b": [8]}
    assert kept.column("a", "z")[1].tolist() == [1.5, 3.5]
    assert np.isnan(kept.column("a", "score")[1]).all(), "there was none, and then a text"
    assert kept.column("c", "z")[0].tolist() == []


def test_no_more_windows_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(outputs, "MAX_WINDOWS", 2)
    kept, _ = seen()
    kept.step(rows(["a", "b"], [8, 8]), None, Level.FULL)
    with pytest.raises(InvalidInput, match=r"--assets: more than 2 windows in a run: play fewer assets"):
        kept.step(rows(["a"], [16]), None, Level.FULL)
