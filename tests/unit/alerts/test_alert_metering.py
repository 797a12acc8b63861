"""Alerts as metrics."""

from mesh.alerts import Budget, Judged, Policy
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.alerts.metering import AlertMetering
from mesh.telemetry.recorder import Recorder
from tests.fakes.alert_events import opened


async def test_what_is_written_counts_once_however_often_it_is_read():
    recorder = Recorder()
    metering, store = AlertMetering(recorder), MemoryAlerts(Policy(budget=Budget(600_000, 1)))
    for _ in range(2):
        metering.written(await store.write([opened(1, "critical"), opened(2), opened(3, rule="dry")]))
    metering.budget_left(await store.budget_left(opened(1).at))
    metering.judged(Judged((), ("hot", "hot"), 2, ("pump-9",)))
    told = recorder.snapshot()
    assert told.counters["mesh_alerts_opened_total"] == {("hot", "critical"): 1}
    assert told.counters["mesh_alerts_digested_total"] == {("hot", "warning"): 1, ("dry", "warning"): 1}
    assert told.counters["mesh_alert_digests_total"] == {(): 1}
    assert told.counters["mesh_alerts_held_off_total"] == {("hot",): 2}
    assert told.counters["mesh_alert_keys_forgotten_total"] == {(): 3}
    assert told.gauges["mesh_alert_budget_left"] == {(): 0}
