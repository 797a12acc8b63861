"""Which differences between online and history are faults."""

from dataclasses import replace

import pytest

from mesh.stores.online import MemoryOnlineStore
from mesh.stores.parity import compare
from mesh.stores.parity_check import check_parity, record_parity
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from tests.fakes.feature_rows import T0, a_batch, a_view

VIEW = a_view(ttl_ms=10_000)


async def online(rows, view=VIEW):
    store = MemoryOnlineStore()
    await store.write(view, a_batch(rows))
    return store


@pytest.mark.parametrize(
    ("rows", "view", "now", "outcome"),
    [
        ([("a", 0)], VIEW, 0, "same"),
        ([("a", 1_000)], VIEW, 0, "ahead"),
        ([], VIEW, 0, "missing"),
        ([], VIEW, 10_050, "expired"),
        ([("a", -1)], VIEW, 0, "stale"),
        ([("a", 0, 7.0)], VIEW, 0, "mismatch"),
        ([("a", 0)], replace(VIEW, transform="0" * 16), 0, "transform"),
    ],
)
async def test_every_outcome(rows, view, now, outcome):
    store = await online(rows, view)
    found = compare(VIEW, a_batch([("a", 0)]), await store.read(VIEW, ["a"]), T0 + now)
    assert [one.outcome for one in found.compared] == [outcome]
    assert bool(found.faults) == (outcome in ("missing", "stale", "mismatch", "transform"))


async def test_a_mismatch_names_the_worst_column():
    store = await online([("a", 0, 7.0)])
    (fault,) = compare(VIEW, a_batch([("a", 0)]), await store.read(VIEW, ["a"]), T0).faults
    assert fault.detail == "2 values, most in temp.std: online 14.1, history 0.1"


async def test_the_history_is_read_first_and_every_outcome_is_in_the_metric():
    store, recorder = await online([("a", 0)]), Recorder()

    class Newest:
        def newest(self, limit, days):
            assert (limit, days) == (5, 2)
            return a_batch([("a", 0), ("b", 0)])

    record_parity(recorder, VIEW, await check_parity(VIEW, Newest(), store, 5, 2, T0))
    gauges = recorder.snapshot().gauges[names.FEATURES_PARITY.name]
    assert gauges["telemetry", "same"] == gauges["telemetry", "missing"] == 1
    assert gauges["telemetry", "mismatch"] == 0
