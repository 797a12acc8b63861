"""`hyperstream cost` against the port that Prometheus scrapes, with numbers that grow between the two looks."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.metrics import MetricsAway
from mesh.cluster.metrics_port import MetricsPort
from mesh.embedded.ports import is_listening
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.totals import Totals

PORT = 21830
CONFIG = Path(__file__).resolve().parents[2] / "config"


class Growing:
    """A page of metrics on which each look finds 2 s of processor time and 1,000 records more."""

    def __init__(self) -> None:
        self._looks, self._recorder = 0, Recorder()
        self._loop = asyncio.new_event_loop()
        port = MetricsPort("127.0.0.1", PORT, self._page)
        self._serving = self._loop.create_task(port.serve_forever())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        ends = time.monotonic() + 60
        while not is_listening(PORT):
            assert time.monotonic() < ends
            time.sleep(0.01)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serving)
        except asyncio.CancelledError:
            self._loop.close()

    def _page(self) -> bytes:
        self._looks += 1
        self._recorder.set(names.PROCESS_CPU, 2.0 * self._looks, ("telemetry", "12", "here"))
        self._recorder.set(names.PROCESS_MEMORY, 1e9, ("telemetry", "12", "here"))
        self._recorder.count(names.INGEST_RECORDS, 1_000, ("hyperstream.raw",))
        totals = Totals()
        totals.take("1", self._recorder.snapshot(), 0.0)
        return totals.exposition()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(60)


@pytest.fixture
def growing() -> Iterator[Growing]:
    one = Growing()
    yield one
    one.close()


def run(monkeypatch: pytest.MonkeyPatch, *words: str, port: int = PORT) -> str:
    monkeypatch.setenv("MESH_CONFIG", str(CONFIG))
    monkeypatch.setenv("ML_PROMETHEUS_PORT", str(port))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")  # nobody: the tier is left out
    done = CliRunner().invoke(app, ["cost", "--interval", "1", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_cost_of_a_running_mesh(growing: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(run(monkeypatch, "--json"))
    assert found["seconds"] == pytest.approx(1.0, abs=0.5)
    memory = 1.0 * 0.005
    cpu = 2.0 / found["seconds"] * 0.04
    assert found["by_owner"]["telemetry"] == pytest.approx(cpu + memory)
    spent = found["per_hour"] * found["seconds"] / 3600
    assert found["per_1000_records"] == pytest.approx(spent)
    assert (found["per_true_alert"], found["sampling"], found["level"]) == (None, False, 0)


def test_the_table_says_that_it_is_an_estimate(growing: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    text = run(monkeypatch)
    assert "estimate over 1 s, level L0, sampling off" in text
    assert "prices of 2026-11-27: round placeholder figures" in text


def test_where_nobody_serves_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MetricsAway, match="ML_PROMETHEUS_PORT"):
        run(monkeypatch, port=1)
