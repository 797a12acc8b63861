"""`hyperstream cost`: from the metrics of a mesh, as Prometheus reads them, to a bill."""

import pytest

from mesh.cli.cost import cost_table, totals
from mesh.cli.metrics import MetricsAway, sample_of, scrape
from mesh.costs import Prices, bill, usage_between
from mesh.errors import InvalidInput
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.totals import Totals


def page(cpu: float, records: int, opened: int) -> str:
    recorder = Recorder()
    recorder.set(names.PROCESS_CPU, cpu, ("telemetry", "12", "here"))
    recorder.set(names.PROCESS_MEMORY, 3e8, ("telemetry", "12", "here"))
    recorder.set(names.TELEMETRY_LEVEL, 2)
    recorder.set(names.MODEL_REPLICAS, 1, ("anomaly", "1"))
    recorder.count(names.INGEST_RECORDS, records, ("hyperstream.raw",))
    recorder.count(names.INGEST_BYTES, 200 * records, ("hyperstream.raw",))
    recorder.count(names.ALERTS_OPENED, opened, ("hot", "warning"))
    totals_of_all = Totals()
    totals_of_all.take("1", recorder.snapshot(), 0.0)
    return totals_of_all.exposition().decode()


def test_a_page_of_metrics_is_read_as_it_is_written():
    found = sample_of(page(1.5, 1_000, 2), 7.0)
    assert found.cpu_s == {("telemetry", "12", "here"): 1.5}
    assert found.memory_bytes == {("telemetry", "12", "here"): 3e8}
    assert (found.records, found.bytes_read) == (
        {("hyperstream.raw",): 1_000},
        {("hyperstream.raw",): 200_000},
    )
    assert (found.alerts, found.level, found.replicas, found.seconds) == (2, 2, {"anomaly": 1}, 7.0)


def test_two_pages_make_a_bill():
    used = usage_between(sample_of(page(1, 0, 0), 0.0), sample_of(page(31, 6_000, 3), 60.0))
    found = bill(used, Prices("EUR", "a list", "2026-01-02", cpu_hour=0.1))
    assert found.per_hour == pytest.approx(0.05)
    assert cost_table(found, sampling=True).title == "estimate over 60 s, level L2, sampling on"
    assert totals(found)[-1] == "prices of 2026-01-02: a list"
    assert "a true alert: not known" in totals(found)


def test_what_is_no_metrics_page_is_refused():
    with pytest.raises(MetricsAway, match="--url"):
        sample_of("<html>")
    with pytest.raises(InvalidInput, match="--url"):
        scrape("ftp://there/metrics")
