"""`docs/metrics.md`, made from the registry: `python -m mesh.telemetry.page` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mesh.telemetry.limit import MAX_SERIES as PAGE_SERIES
from mesh.telemetry.metric import Gauge, Metric, unit_of
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.recorder import MAX_SERIES, MAX_VALUES
from mesh.telemetry.triton import SERIES

FILE: Final = Path(__file__).resolve().parents[2] / "docs/metrics.md"
_PARTS: Final = (
    ("What outside dashboards rely on", ("ml_",)),
    ("Models", ("mesh_model_", "mesh_shadow_", "mesh_breaker_")),
    ("The stream", ("mesh_ingest_", "mesh_stream_")),
    ("The telemetry chain", ("mesh_telemetry_", "mesh_reading_")),
    ("Alerts", ("mesh_alert",)),
    ("The feature store", ("mesh_features_",)),
    ("Processes, nodes, GPUs", ("mesh_process_", "mesh_node_", "mesh_gpu_")),
    ("Traces", ("mesh_trace",)),
)
_EDGES: Final = "Rows and requests"
_HEAD: Final = f"""# Metrics

Made from `mesh/telemetry/names.py` by `python -m mesh.telemetry.page`; do not edit. What to look at and when is in
[observability.md](observability.md).

One scrape of `ML_PROMETHEUS_PORT` shows all processes: each pushes its totals once a second. Labels never hold ids, keys or texts
of clients: names that nobody serves count as `unknown`. Should a label grow all the same, a process keeps {MAX_VALUES} values
of it and {MAX_SERIES:,} series a metric, the page {PAGE_SERIES:,}; the rest counts as `other`.
"""


def metrics_page() -> str:
    """The whole page."""
    parts = {title: "" for title, _ in _PARTS[:1]} | {_EDGES: ""} | {title: "" for title, _ in _PARTS[1:]}
    for metric in REGISTRY.values():
        parts[_part_of(metric.name)] += _row(metric)
    text = _HEAD + "".join(_section(title, rows) for title, rows in parts.items())
    return text + _section("Under Triton's names", "".join(_triton_rows()))


def _section(title: str, rows: str) -> str:
    return f"\n## {title}\n\n| name | kind | unit | labels | what it says |\n|---|---|---|---|---|\n{rows}"


def _row(metric: Metric) -> str:
    kind = type(metric).__name__.lower()
    if isinstance(metric, Gauge) and metric.merge == "max":
        kind = "gauge, the largest of all processes"
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {kind} | {unit_of(metric.name)} | {labels} | {metric.help} |\n"


def _triton_rows() -> Iterator[str]:
    for series in SERIES:
        unit = "microseconds" if series.name.endswith("_us") else "requests"
        unit = "rows" if series.name in ("nv_inference_count", "nv_inference_pending_request_count") else unit
        unit = "calls" if series.name == "nv_inference_exec_count" else unit
        labels = ", ".join(f"`{label}`" for label in series.labels)
        yield f"| `{series.name}` | {series.kind} | {unit} | {labels} | {series.help} |\n"


def _part_of(name: str) -> str:
    return next((title for title, prefixes in _PARTS if name.startswith(prefixes)), _EDGES)


def main() -> None:
    """Write the page."""
    FILE.write_text(metrics_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
