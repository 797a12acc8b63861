"""`make bench`: one run, one table, build/bench.json."""

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Callable

import psutil
from rich.console import Console

from benchmarks import (
    access,
    alerts,
    gpu,
    graphql,
    http,
    latency,
    memory,
    quality,
    records,
    review,
    rollouts,
    routing,
    scaling,
    stream,
    telemetry,
    telemetry_live,
    tensor,
    tracing,
)
from benchmarks import console as pages
from benchmarks.results import Row, markdown, save, show

PARTS = (
    "routing",
    "http",
    "stream",
    "stream-16",
    "stream-784",
    "stream-adapter",
    "latency",
    "tensor",
    "telemetry",
    "telemetry-live",
    "gpu",
    "memory",
    "alerts",
    "access",
    "records",
    "review",
    "console",
    "graphql",
    "quality",
    "tracing",
    "rollouts",
    "scaling",
)
DEFAULT = tuple(part for part in PARTS if not part.startswith("stream-"))
"""Without the parts that `stream` has in it."""


def run_part(part: str, rounds: int, seconds: int, console: Console) -> list[Row]:
    """Measure one part."""
    if part.startswith("stream"):
        return stream.measure(rounds, console, part)
    parts: dict[str, Callable[[], list[Row]]] = {
        "routing": routing.rows,
        "http": lambda: http.measure(http.Plan(rounds, seconds, min(5, seconds)), console),
        "latency": lambda: latency.measure(rounds, console),
        "tensor": lambda: tensor.measure(rounds, console),
        "telemetry": lambda: telemetry.measure(rounds, console),
        "telemetry-live": lambda: telemetry_live.measure(console),
        "gpu": gpu.rows,
        "memory": lambda: memory.measure(console),
        "alerts": alerts.rows,
        "access": access.rows,
        "records": lambda: records.rows(rounds),
        "review": review.rows,
        "console": pages.rows,
        "graphql": lambda: graphql.measure(rounds, console),
        "quality": lambda: quality.measure(console),
        "tracing": lambda: tracing.rows(console),
        "rollouts": lambda: rollouts.measure(console),
        "scaling": scaling.rows,
    }
    return parts[part]()


def main() -> int:
    """Run what was asked for; exit 1 when a target is not met."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part (may be given several times)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="interleaved rounds of ours and the peers (default 3)"
    )
    parser.add_argument("--seconds", type=int, default=10, help="seconds per HTTP measurement (default 10)")
    asked = parser.parse_args()
    console = Console(width=180 if not sys.stdout.isatty() else None)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("ray", "numpy", "onnxruntime", "uvicorn")
    )
    console.print(
        f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    )
    rows: list[Row] = []
    for part in asked.only or DEFAULT:
        rows += run_part(part, asked.rounds, asked.seconds, console)
        path = save(rows)
    show(rows, console)
    path.with_suffix(".md").write_text(markdown(rows))
    console.print(f"written to {path}, and as a table to {path.with_suffix('.md')}")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
