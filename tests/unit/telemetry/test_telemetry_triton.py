"""Triton's names: the counters of its dashboards, from ours."""

from prometheus_client.parser import text_string_to_metric_families

from mesh.telemetry import names
from mesh.telemetry.node import Gpu, has_gpu, parse_gpus
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.totals import Totals


def _page(recorder: Recorder) -> dict[tuple[str, ...], float]:
    totals = Totals()
    totals.take("p", recorder.snapshot(), 0.0)
    return {
        (
            sample.name,
            *(sample.labels[name] for name in ("model", "version", "reason") if name in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(totals.exposition().decode())
        for sample in family.samples
        if sample.name.startswith("nv_")
    }


def test_models_count_calls_rows_and_microseconds():
    recorder = Recorder()
    recorder.count(names.MODEL_CALLS, 5, ("rules", "answered", "2"))
    recorder.count(names.MODEL_CALLS, 1, ("rules", "overloaded", "2"))
    recorder.count(names.MODEL_ROWS, 40, ("rules", "2"))
    recorder.observe(names.MODEL_CALL_SECONDS, 0.25, ("rules", "2"))
    recorder.count(names.MODEL_QUEUE_SECONDS, 0.5, ("rules",))
    recorder.count(names.MODEL_COMPUTE_SECONDS, 0.125, ("rules", "2"))
    recorder.set(names.MODEL_WAITING_ROWS, 3, ("rules",))
    recorder.count(names.REQUESTS, 7, ("rules", "200", "http"))  # among the calls already
    assert _page(recorder) == {
        ("nv_inference_request_success", "rules", "2"): 5,
        ("nv_inference_request_failure", "rules", "2", "REJECTED"): 1,
        ("nv_inference_count", "rules", "2"): 40,
        ("nv_inference_exec_count", "rules", "2"): 6,
        ("nv_inference_request_duration_us", "rules", "2"): 250_000,
        ("nv_inference_queue_duration_us", "rules", "2"): 500_000,
        ("nv_inference_compute_infer_duration_us", "rules", "2"): 125_000,
        ("nv_inference_pending_request_count", "rules"): 3,
    }


def test_a_table_counts_as_an_ensemble():
    recorder = Recorder()
    recorder.count(names.REQUESTS, 7, ("default", "200", "http"))
    recorder.count(names.REQUESTS, 2, ("default", "OK", "grpc"))
    recorder.count(names.REQUESTS, 1, ("default", "503", "http"))
    recorder.observe(names.REQUEST_SECONDS, 0.002, ("default", "http"))
    assert _page(recorder) == {
        ("nv_inference_request_success", "default", "1"): 9,
        ("nv_inference_request_failure", "default", "1", "OTHER"): 1,
        ("nv_inference_request_duration_us", "default", "1"): 2_000,
    }


def test_gpus_as_nvidia_smi_lists_them():
    text = "0, 37, 1024, 81559\n1, [N/A], 0, 81559\n"
    assert parse_gpus(text) == (
        Gpu("0", 0.37, 1024 * 2**20, 81559 * 2**20),
        Gpu("1", 0.0, 0, 81559 * 2**20),
    )
    assert parse_gpus("No devices were found\n") == ()


def test_only_a_process_that_was_given_a_gpu_looks_at_it():
    assert [has_gpu(text) for text in (None, "", "-1", "0", "GPU-3f")] == [False, False, False, True, True]
