import pickle
import threading

import numpy as np
import pytest

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

ROW = ("default", "rules", "baseline", "primary", "1")


def test_counts_add_up_per_series():
    recorder = Recorder()
    recorder.count(names.ROWS, 3, ROW)
    recorder.count(names.ROWS, 2, ROW)
    recorder.count(names.INGEST_RECORDS, labels=("t",))
    counters = recorder.snapshot().counters
    assert counters["mesh_rows_total"] == {ROW: 5}
    assert counters["mesh_ingest_records_total"] == {("t",): 1}


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(ValueError, match=r"mesh_rows_total has the labels"):
        Recorder().count(names.ROWS, 1, ("default",))


def test_label_values_beyond_the_cap_become_other():
    recorder = Recorder(max_values=2)
    for model in ("a", "b", "c", "d", "a"):
        recorder.count(names.MODEL_ROWS, 1, (model, "1"))
    assert recorder.snapshot().counters["mesh_model_rows_total"] == {
        ("a", "1"): 2,
        ("b", "1"): 1,
        ("other", "1"): 2,
    }


def test_observe_many_equals_observe_one_by_one():
    values = np.array([0.0, 0.001, 0.0010001, 0.5, 10.0, 11.0, np.nan])
    one, many = Recorder(), Recorder()
    for value in values:
        one.observe(names.STREAM_SECONDS, float(value), ("t",))
    many.observe_many(names.STREAM_SECONDS, values, ("t",))
    a, b = (r.snapshot().histograms["mesh_stream_latency_seconds"][("t",)] for r in (one, many))
    assert a.counts == b.counts
    assert a.total == pytest.approx(b.total)
    assert sum(a.counts) == 6
    assert a.counts[0] == 2, "a value equal to a bound belongs to that bucket"
    assert a.counts[-1] == 1


def test_observe_many_of_nothing():
    recorder = Recorder()
    recorder.observe_many(names.STREAM_SECONDS, np.array([]), ("t",))
    assert sum(recorder.snapshot().histograms["mesh_stream_latency_seconds"][("t",)].counts) == 0


def test_a_gauge_can_be_set_again_and_unset():
    recorder = Recorder()
    recorder.set(names.INGEST_LAG, 7, ("t", "0"))
    recorder.set(names.INGEST_LAG, 5, ("t", "0"))
    recorder.set(names.INGEST_LAG, 9, ("t", "1"))
    recorder.unset(names.INGEST_LAG, ("t", "1"))
    recorder.unset(names.INGEST_LAG, ("t", "2"))
    assert recorder.snapshot().gauges["mesh_ingest_lag_records"] == {("t", "0"): 5}


def test_a_snapshot_is_frozen_in_time_and_pickles():
    recorder = Recorder()
    recorder.count(names.ROWS, 1, ROW)
    recorder.observe(names.REQUEST_SECONDS, 0.1, ("default", "http"))
    first = recorder.snapshot()
    recorder.count(names.ROWS, 1, ROW)
    assert first.counters["mesh_rows_total"] == {ROW: 1}
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - our own bytes
    assert recorder.snapshot().sequence == first.sequence + 1


def test_threads_with_recorders_of_their_own_lose_nothing():
    recorder = Recorder()

    def work(own):
        for _ in range(20_000):
            own.count(names.INGEST_RECORDS, 1, ("t",))

    threads = [threading.Thread(target=work, args=(recorder.for_thread(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recorder.snapshot()
    assert recorder.snapshot().counters["mesh_ingest_records_total"] == {("t",): 80_000}


def test_every_metric_is_in_the_registry_once_under_a_legal_name():
    assert len(names.REGISTRY) == sum(
        isinstance(value, names.Counter | names.Gauge | names.Histogram) for value in vars(names).values()
    )
    for name, metric in names.REGISTRY.items():
        assert name.endswith("_total") == isinstance(metric, names.Counter), name
        assert metric.help
    assert names.INFERENCE_SECONDS.labels == ("model_id",)
    assert names.INFERENCE_SECONDS.buckets[0] == 0.001
    assert names.INFERENCE_SECONDS.buckets[-1] == 10.0
