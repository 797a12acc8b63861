"""Each model: calls, queue, replicas, breaker, processor."""

from typing import Final

from mesh.dashboards.panel import WINDOW, Dashboard, Panel, Query, Row
from mesh.dashboards.queries import quantile, rate, ratio

MODELS: Final = Dashboard(
    "hyperstream-models",
    "HyperStream: models",
    (
        Row(
            "Rate, errors, duration",
            (
                Panel(
                    "Calls",
                    (Query(rate("mesh_model_calls_total", "model, version"), "{{model}} {{version}}"),),
                    "ops",
                ),
                Panel(
                    "Failed calls",
                    (Query(rate("mesh_model_calls_total", where='outcome!="answered"'), "all"),),
                    "ops",
                    "Away, overloaded, late, or raised.",
                ),
                Panel(
                    "Time of a call, p95",
                    (
                        Query(
                            quantile(0.95, "mesh_model_call_seconds", "model, version"),
                            "{{model}} {{version}}",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Rows", (Query(rate("mesh_model_rows_total", "model, version"), "{{model}} {{version}}"),)
                ),
                Panel(
                    "Rows a call",
                    (
                        Query(
                            ratio("mesh_model_rows_total", "mesh_model_calls_total", "model"),
                            "{{model}}",
                        ),
                    ),
                    "short",
                    "How well callers' rows are joined.",
                ),
                Panel(
                    "Breaker",
                    (Query("max by (model) (mesh_breaker_state)", "{{model}}"),),
                    "short",
                    "0 closed, 1 half open, 2 open.",
                    thresholds=(1, 2),
                ),
            ),
        ),
        Row(
            "Use, saturation",
            (
                Panel(
                    "Replicas",
                    (Query("sum by (model, version) (mesh_model_replicas)", "{{model}} {{version}}"),),
                    "short",
                ),
                Panel(
                    "Slots in use",
                    (
                        Query(
                            'sum by (model) (mesh_model_call_slots{state="out"}) / (sum by (model) (mesh_model_call_slots) > 0)',
                            "{{model}}",
                        ),
                    ),
                    "percentunit",
                    "Calls that are out, of those that may be.",
                ),
                Panel(
                    "Rows that wait for a slot",
                    (Query("sum by (model) (mesh_model_waiting_rows)", "{{model}}"),),
                ),
                Panel(
                    "Wait for a slot",
                    (
                        Query(
                            ratio(
                                "mesh_model_queue_seconds_total", "mesh_model_queued_callers_total", "model"
                            ),
                            "{{model}}",
                        ),
                    ),
                    "s",
                    "The mean over callers.",
                ),
                Panel(
                    "Busy",
                    (
                        Query(
                            rate("mesh_model_compute_seconds_total", "model, version"),
                            "{{model}} {{version}}",
                        ),
                    ),
                    "percentunit",
                    "Seconds of computing a second, over all replicas.",
                ),
                Panel(
                    "Processor",
                    (Query(f"sum by (process) (rate(mesh_process_cpu_seconds[{WINDOW}]))", "{{process}}"),),
                    "short",
                    "Cores.",
                ),
            ),
        ),
        Row(
            "Under Triton's names",
            (
                Panel(
                    "nv_inference_request_success",
                    (Query(rate("nv_inference_request_success", "model, version"), "{{model}} {{version}}"),),
                    "ops",
                    width=12,
                ),
                Panel(
                    "Mean time of a request",
                    (
                        Query(
                            ratio(
                                "nv_inference_request_duration_us", "nv_inference_request_success", "model"
                            ),
                            "{{model}}",
                        ),
                    ),
                    "µs",
                    width=12,
                ),
            ),
        ),
    ),
)
