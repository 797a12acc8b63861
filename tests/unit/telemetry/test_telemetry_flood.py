"""Floods of ids and keys: the number of series stays bounded, in a process and over all of them, and nothing is lost."""

from prometheus_client.parser import text_string_to_metric_families

from mesh.telemetry import names
from mesh.telemetry.limit import MAX_SERIES as PAGE_SERIES
from mesh.telemetry.limit import limited
from mesh.telemetry.recorder import MAX_SERIES, MAX_VALUES, Recorder
from mesh.telemetry.snapshot import HistogramValue
from mesh.telemetry.totals import Totals


def test_a_flood_of_model_ids_fills_one_label_up_to_its_bound():
    recorder = Recorder()
    for number in range(10_000):
        recorder.count(names.INFERENCE_ERRORS, 1, (f"model-{number}",))
    counted = recorder.snapshot().counters["ml_stream_inference_errors_total"]
    assert len(counted) == MAX_VALUES + 1
    assert sum(counted.values()) == 10_000
    assert counted["other",] == 10_000 - MAX_VALUES


def test_labels_that_multiply_are_bounded_too():
    recorder = Recorder()
    for a in range(60):
        for b in range(60):
            recorder.count(names.ROWS, 1, (f"e{a}", f"m{b}", "route", "primary", "1"))
            recorder.observe(names.ANSWER_SECONDS, 0.01, (f"e{a}", f"m{b}", "route", "primary", "1"))
    snapshot = recorder.snapshot()
    rows, times = snapshot.counters["mesh_rows_total"], snapshot.histograms["mesh_answer_seconds"]
    assert len(rows) == len(times) == MAX_SERIES + 1
    assert sum(rows.values()) == sum(sum(value.counts) for value in times.values()) == 3_600


def test_a_flood_that_differs_from_process_to_process_is_bounded_on_the_page():
    totals = Totals()
    for process in range(40):
        recorder = Recorder()
        for number in range(90):
            recorder.count(names.INFERENCE_ERRORS, 1, (f"{process}-{number}",))
        totals.take(f"p{process}", recorder.snapshot(), float(process))
    families = {
        family.name: family for family in text_string_to_metric_families(totals.exposition().decode())
    }
    samples = families["ml_stream_inference_errors"].samples
    assert len(samples) == PAGE_SERIES + 1
    assert sum(sample.value for sample in samples) == 40 * 90


def test_histograms_beyond_the_bound_are_added_up():
    one = HistogramValue((1, 2), 3.0)
    found = limited({"h": {(str(number),): one for number in range(4)}}, most=2)
    assert found["h"] == {("0",): one, ("1",): one, ("other",): HistogramValue((2, 4), 6.0)}
