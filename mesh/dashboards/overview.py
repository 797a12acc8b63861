"""Is it well? The first page to open."""

from typing import Final

from mesh.dashboards.panel import WINDOW, Dashboard, Panel, Query, Row
from mesh.dashboards.queries import quantiles, rate, share

_ERRORS: Final = f"sum(rate(ml_stream_inference_errors_total[{WINDOW}])) or vector(0)"
_ALL: Final = f"sum(rate(ml_stream_inference_predictions_total[{WINDOW}])) + ({_ERRORS})"

OVERVIEW: Final = Dashboard(
    "hyperstream-overview",
    "HyperStream: overview",
    (
        Row(
            "Promises",
            (
                Panel(
                    "Errors",
                    (Query(share(_ERRORS, _ALL)),),
                    "percentunit",
                    "Records and requests without an answer. Alerts above 1 %.",
                    "stat",
                    4,
                    4,
                    thresholds=(0.001, 0.01),
                ),
                Panel(
                    "Latency, p95",
                    (quantiles("ml_stream_inference_latency_seconds")[1],),
                    "s",
                    "Alerts above 250 ms for 5 minutes.",
                    "stat",
                    4,
                    4,
                    thresholds=(0.1, 0.25),
                ),
                Panel(
                    "Degraded answers",
                    (Query(share(rate("mesh_degraded_rows_total"), rate("mesh_rows_total"))),),
                    "percentunit",
                    "Rows whose answer is not the one that their routes asked for.",
                    "stat",
                    4,
                    4,
                    thresholds=(0.001, 0.01),
                ),
                Panel(
                    "Burn rate",
                    (Query("slo:current_burn_rate:ratio", "{{slo}}"),),
                    "short",
                    "1 spends the error budget in exactly 30 days.",
                    "stat",
                    8,
                    4,
                    thresholds=(1, 14.4),
                ),
                Panel(
                    "Alerts that fire",
                    (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
                    "short",
                    "",
                    "stat",
                    4,
                    4,
                    thresholds=(1, 3),
                ),
            ),
        ),
        Row(
            "Rate, errors, duration",
            (
                Panel(
                    "Answers by endpoint",
                    (Query(rate("ml_stream_inference_predictions_total", "model_id"), "{{model_id}}"),),
                    "reqps",
                    "Records and requests.",
                    stacked=True,
                ),
                Panel(
                    "Requests by status",
                    (Query(rate("mesh_requests_total", "code, protocol"), "{{protocol}} {{code}}"),),
                    "reqps",
                    stacked=True,
                ),
                Panel("Latency", quantiles("ml_stream_inference_latency_seconds"), "s"),
            ),
        ),
        Row(
            "Use of resources",
            (
                Panel(
                    "Processor",
                    (
                        Query("mesh_node_cpu_used_ratio", "{{node}} used"),
                        Query("mesh_node_load_per_core", "{{node}} load"),
                    ),
                    "percentunit",
                    "Used time, and processes that want to run by core: above 1 they wait.",
                ),
                Panel(
                    "Memory",
                    (
                        Query(
                            '1 - mesh_node_memory_bytes{kind="available"} / ignoring (kind) mesh_node_memory_bytes{kind="total"}',
                            "{{node}}",
                        ),
                    ),
                    "percentunit",
                    "Ray ends workers at 95 %.",
                ),
                Panel(
                    "Disk",
                    (
                        Query(
                            '1 - mesh_node_disk_bytes{kind="free"} / ignoring (kind) mesh_node_disk_bytes{kind="total"}',
                            "{{node}}",
                        ),
                    ),
                    "percentunit",
                ),
                Panel(
                    "Rows that wait for an answer",
                    (Query("sum by (endpoint) (mesh_pending_rows)", "{{endpoint}}"),),
                    width=12,
                ),
                Panel(
                    "Memory by process",
                    (Query("sum by (process) (mesh_process_resident_bytes)", "{{process}}"),),
                    "bytes",
                    width=12,
                    stacked=True,
                ),
            ),
        ),
        Row(
            "People",
            (
                Panel(
                    "Items that wait for people",
                    (
                        Query("sum by (state) (mesh_review_items)", "{{state}}"),
                        Query("mesh_review_overdue_items", "past their due"),
                    ),
                    width=12,
                ),
                Panel(
                    "Decisions an hour",
                    (
                        Query("sum(rate(mesh_review_decisions_total[1h])) * 3600 or vector(0)", "all"),
                        Query("sum(rate(mesh_review_overrides_total[1h])) * 3600 or vector(0)", "overrides"),
                    ),
                    why="What people did with items, and how often they said otherwise than the mesh.",
                    width=12,
                ),
            ),
        ),
    ),
)
