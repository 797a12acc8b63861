"""A real Prometheus scrapes our page: every panel's query finds data where every metric has some, and rules fire on errors."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from prometheus_server import LivePrometheus
from ray_mesh import until
from stream_servers import ROOT

from mesh.cluster.metrics_port import MetricsPort
from mesh.dashboards.__main__ import dashboards
from mesh.dashboards.panel import WINDOW
from mesh.spec import load_prices
from mesh.telemetry import names
from mesh.telemetry.metric import Counter, Gauge, Metric
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.totals import Totals

PORT = 21751
VALUES = {
    "outcome": ("answered", "compared", "dropped", "away"),
    "role": ("primary", "canary"),
    "state": ("out", "free"),
    "kind": ("total", "available", "free", "used"),
    "agreed": ("yes", "no"),
    "process": ("router", "ingest"),
}
"""The values that panels ask for by name; every other label takes one."""
QUIET = {names.INFERENCE_ERRORS.name, names.BREAKER_STATE.name, names.INGEST_DEAD_LETTERS.name}


class Page:
    """A mesh's page whose every metric moves; a thread of its own serves it."""

    def __init__(self) -> None:
        self.recorder, self.totals = Recorder(), Totals()
        self.failing = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(5)

    async def _serve(self) -> None:
        port = asyncio.create_task(MetricsPort("127.0.0.1", PORT, self._exposition).serve_forever())
        await asyncio.to_thread(self._stopped.wait)
        port.cancel()

    def _exposition(self) -> bytes:
        for metric in REGISTRY.values():
            for labels in product(*(VALUES.get(label, ("one",)) for label in metric.labels)):
                self._move(metric, labels)
        self.totals.take("p", self.recorder.snapshot(), time.monotonic())
        return self.totals.exposition()

    def _move(self, metric: Metric, labels: tuple[str, ...]) -> None:
        quiet = metric.name in QUIET and not self.failing
        if isinstance(metric, Counter):
            self.recorder.count(metric, 0 if quiet else 5, labels)
        elif isinstance(metric, Gauge):
            self.recorder.set(metric, 0 if quiet else 2 + time.monotonic(), labels)
        else:
            self.recorder.observe(metric, 0.02, labels)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, LivePrometheus]]:
    page = Page()
    prometheus = LivePrometheus(tmp_path_factory.mktemp("live") / "prometheus", f"127.0.0.1:{PORT}")
    try:
        until(lambda: len(prometheus.query("rate(mesh_rows_total[10s])")) > 0, 20)
        yield page, prometheus
    finally:
        prometheus.close()
        page.close()


def queries() -> list[tuple[str, str]]:
    found = []
    for dashboard in dashboards(load_prices(ROOT / "config")):
        for panel in dashboard.panels():
            for query in panel.queries:
                expr = query.expr.replace(WINDOW, "10s")
                for name, value in dashboard.constants.items():
                    expr = expr.replace(f"${name}", f"{value:g}")
                found.append((f"{dashboard.title}, {panel.title}", expr))
    return found


def test_every_panel_finds_data(live: tuple[Page, LivePrometheus], tmp_path: Path) -> None:
    _, prometheus = live
    until(lambda: len(prometheus.query("slo:current_burn_rate:ratio")) > 0, 20)
    empty = [f"{title}: {expr}" for title, expr in queries() if not prometheus.query(expr)]
    assert not empty, "\n".join(empty)


def test_rules_fire_while_there_are_errors_and_end_after_them(live: tuple[Page, LivePrometheus]) -> None:
    page, prometheus = live
    wanted = {"MeshErrorsHigh", "MeshBreakerOpen", "MeshDeadLetters", "MeshSloBurnPage"}
    assert not wanted & prometheus.firing()
    page.failing = True
    until(lambda: wanted <= prometheus.firing(), 30, lambda: str(prometheus.firing()))
    page.failing = False
    until(lambda: not {"MeshErrorsHigh", "MeshBreakerOpen"} & prometheus.firing(), 40)
