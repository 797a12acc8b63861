import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mesh.telemetry import names
from mesh.telemetry.quantiles import quantile
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.snapshot import HistogramValue
from mesh.telemetry.totals import MAX_DEAD, SETTLE_S, Totals

ROW = ("default", "rules", "baseline", "primary", "1")
LAG = ("mesh_ingest_lag_records", ("0", "t"))


def samples(totals, now=None):
    families = text_string_to_metric_families(totals.exposition(now).decode())
    return {
        (s.name, tuple(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def ingest(records, answered=0, lag=None):
    recorder = Recorder()
    recorder.count(names.INGEST_RECORDS, records, ("t",))
    recorder.count(names.INGEST_ANSWERED, answered, ("t",))
    if lag is not None:
        recorder.set(names.INGEST_LAG, lag, ("t", "0"))
    return recorder


def test_processes_add_up_and_a_newer_snapshot_replaces_the_older():
    totals, a, b = Totals(), ingest(10, lag=4), ingest(5, lag=6)
    totals.take("a", a.snapshot(), 0.0)
    totals.take("b", b.snapshot(), 0.0)
    a.count(names.INGEST_RECORDS, 1, ("t",))
    late, newest = a.snapshot(), a.snapshot()
    totals.take("a", newest, 1.0)
    totals.take("a", late, 1.1)
    seen = samples(totals)
    assert seen["mesh_ingest_records_total", ("t",)] == 16
    assert seen[LAG] == 6


def test_a_silent_process_keeps_its_counts_and_loses_its_gauges():
    totals, a = Totals(dead_after_s=10), ingest(10, lag=4)
    a.observe(names.STREAM_SECONDS, 0.01, ("t",))
    totals.take("a", a.snapshot(), 0.0)
    totals.take("b", ingest(1).snapshot(), 11.0)
    seen = samples(totals)
    assert seen["mesh_ingest_records_total", ("t",)] == 11
    assert seen["mesh_stream_latency_seconds_count", ("t",)] == 1
    assert LAG not in seen


def test_a_process_that_comes_back_is_not_counted_twice():
    totals, a = Totals(dead_after_s=10), ingest(10, lag=4)
    totals.take("a", a.snapshot(), 0.0)
    totals.take("b", ingest(1).snapshot(), 60.0)
    totals.take("a", a.snapshot(), 61.0)
    assert samples(totals)["mesh_ingest_records_total", ("t",)] == 11
    assert samples(totals)[LAG] == 4


def test_a_restart_under_the_same_id_keeps_what_the_first_life_counted():
    totals = Totals()
    totals.take("a", ingest(10, lag=4).snapshot(), 0.0)
    totals.take("a", ingest(2, lag=1).snapshot(), 1.0)
    seen = samples(totals)
    assert seen["mesh_ingest_records_total", ("t",)] == 12
    assert seen[LAG] == 1


def test_end_takes_the_gauges_away_at_once():
    totals = Totals()
    totals.take("a", ingest(10, lag=4).snapshot(), 0.0)
    assert LAG in samples(totals)
    totals.end("a")
    assert LAG not in samples(totals)
    assert samples(totals)["mesh_ingest_records_total", ("t",)] == 10


def test_many_dead_processes_are_added_up_and_none_is_lost():
    totals = Totals(dead_after_s=1)
    for number in range(MAX_DEAD + 50):
        totals.take(f"p{number}", ingest(1).snapshot(), number * 2.0)
    assert samples(totals)["mesh_ingest_records_total", ("t",)] == MAX_DEAD + 50


def test_exposition_is_prometheus_text_with_the_exact_names():
    totals, recorder = Totals(), Recorder()
    recorder.count(names.INFERENCE_PREDICTIONS, 2, ("m",))
    recorder.count(names.INFERENCE_ERRORS, 1, ("m",))
    recorder.observe(names.INFERENCE_SECONDS, 0.004, ("m",))
    recorder.observe(names.INFERENCE_SECONDS, 99.0, ("m",))
    totals.take("a", recorder.snapshot(), 0.0)
    text = totals.exposition().decode()
    assert 'ml_stream_inference_predictions_total{model_id="m"} 2.0' in text
    assert 'ml_stream_inference_errors_total{model_id="m"} 1.0' in text
    assert 'ml_stream_inference_latency_seconds_bucket{le="0.005",model_id="m"} 1.0' in text
    assert 'ml_stream_inference_latency_seconds_bucket{le="+Inf",model_id="m"} 2.0' in text
    assert 'ml_stream_inference_latency_seconds_count{model_id="m"} 2.0' in text
    bounds = re.findall(r'latency_seconds_bucket\{le="([^"]+)",model_id="m"\} (\S+)', text)
    assert [float(count) for _, count in bounds] == sorted(float(count) for _, count in bounds)


def test_summary_gives_rates_and_quantiles_of_the_window_only():
    totals, recorder = Totals(), ingest(1_000_000, answered=999_990)
    for _ in range(1000):
        recorder.observe(names.STREAM_SECONDS, 9.0, ("t",))
    totals.take("a", recorder.snapshot(), 0.0)
    recorder.count(names.INGEST_RECORDS, 500, ("t",))
    recorder.count(names.INGEST_ANSWERED, 400, ("t",))
    recorder.count(names.INGEST_DEAD_LETTERS, 100, ("t", "not-json"))
    for _ in range(400):
        recorder.observe(names.STREAM_SECONDS, 0.0105, ("t",))
    totals.take("a", recorder.snapshot(), 5.0)
    summary = totals.summary()
    assert summary.window_s == 5.0
    assert (summary.records.total, summary.records.per_s) == (1_000_500, 100.0)
    assert summary.answered.per_s == 80.0
    assert summary.dead_letter_reasons == {"not-json": 100}
    assert 0.010 < summary.stream.p50 <= 0.015
    assert summary.stream.p95 <= 0.015
    assert summary.lag is None


def test_processes_of_two_pods_with_one_pid_are_told_apart_and_one_that_ends_takes_no_time_back():
    totals = Totals()
    for pod, seconds in (("edge-1", 300.0), ("edge-2", 500.0)):
        recorder = Recorder()
        recorder.set(names.PROCESS_CPU, seconds, ("router", "112", pod))
        totals.take(f"router-{pod}", recorder.snapshot(), 0.0)
    series = 'mesh_process_cpu_seconds{node="%s",pid="112",process="router"} %s'
    page = totals.exposition(0.0).decode()
    assert series % ("edge-1", 300.0) in page
    assert series % ("edge-2", 500.0) in page
    totals.end("router-edge-2")
    page = totals.exposition(0.0).decode()
    assert series % ("edge-1", 300.0) in page
    assert "edge-2" not in page


def test_summary_shows_routes_models_and_processes():
    totals, recorder = Totals(), Recorder()
    recorder.count(names.ROWS, 7, ROW)
    recorder.count(names.MODEL_CALLS, 3, ("rules", "answered", "1"))
    recorder.count(names.MODEL_CALLS, 1, ("rules", "raised", "1"))
    recorder.count(names.MODEL_ROWS, 9, ("rules", "1"))
    recorder.set(names.BREAKER_STATE, 2, ("rules",))
    recorder.set(names.PROCESS_MEMORY, 1000, ("router", "12", "here"))
    recorder.set(names.PROCESS_CPU, 1.5, ("router", "12", "here"))
    host = Recorder()
    host.set(names.MODEL_REPLICAS, 1, ("rules", "1"))
    totals.take("router", recorder.snapshot(), 0.0)
    totals.take("rules-0", host.snapshot(), 0.0)
    totals.take("rules-1", host.snapshot(), 0.0)
    summary = totals.summary()
    [route] = summary.routes
    assert (route.endpoint, route.route, route.role, route.model, route.rows.total) == (
        "default", "baseline", "primary", "rules", 7,
    )  # fmt: skip
    [model] = summary.models
    assert (model.replicas, model.calls.total, model.failed_calls.total, model.rows.total) == (2, 4, 1, 9)
    assert model.breaker == 2
    assert summary.processes[0].resident_bytes == 1000


def test_summary_of_nothing():
    summary = Totals().summary(now=3.0)
    assert summary.records.total == 0
    assert summary.stream.p50 is None
    assert summary.routes == ()


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.5, 1.0), (0.25, 0.5), (0.75, 1.5), (1.0, 2.0)],
)
def test_quantile_interpolates_within_the_bucket(q, expected):
    assert quantile(q, (1.0, 2.0, 4.0), HistogramValue((2, 2, 0, 0), 0.0)) == pytest.approx(expected)


def test_quantile_edges():
    assert quantile(0.5, (1.0, 2.0), HistogramValue((0, 0, 0), 0.0)) is None
    assert quantile(0.5, (1.0, 2.0), HistogramValue((0, 0, 3), 0.0)) == 2.0


def told_before(recorder, pushes=20):
    """The next snapshot of a process that has told another holder of totals already."""
    for _ in range(pushes):
        recorder.snapshot()
    return recorder.snapshot()


def test_after_a_restart_what_was_counted_before_is_no_rate():
    totals, a, b = Totals(), ingest(1_000_000), ingest(2_000_000)
    totals.take("a", told_before(a), 0.0)
    totals.take("b", told_before(b), 3.0)
    assert totals.summary(3.5).records.per_s == 0.0
    a.count(names.INGEST_RECORDS, 10, ("t",))
    totals.take("a", a.snapshot(), 5.0)
    summary = totals.summary(5.0)
    assert (summary.records.total, summary.records.per_s) == (3_000_010, 5.0)


def test_after_a_restart_the_sums_are_not_whole_until_all_had_the_time_to_tell():
    totals = Totals()
    totals.take("a", told_before(ingest(1_000_000)), 100.0)
    totals.take("b", told_before(ingest(1)), 104.0)
    assert not totals.whole(100.0 + SETTLE_S - 0.1)
    assert totals.whole(100.0 + SETTLE_S)


def test_at_the_beginning_the_sums_are_whole_also_where_the_first_pushes_were_in_vain():
    totals = Totals()
    assert totals.whole(0.0)
    totals.take("a", told_before(ingest(1), pushes=2), 100.0)
    totals.take("late", told_before(ingest(1)), 101.0)
    assert totals.whole(101.0)
