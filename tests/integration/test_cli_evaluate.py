"""`hyperstream evaluate` as a user calls it: the real chain over a scenario, a table, JSON and a page."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from stream_servers import ROOT

pytestmark = pytest.mark.slow


def evaluate(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mesh.cli", "evaluate", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Tags(HTMLParser):
    """Open elements, and everything that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]


def test_a_stuck_sensor_is_found_and_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    words = ("--scenario", "sensor-stuck", "--assets", "20", "--seed", "5", "--json", "--report", str(page))
    done = evaluate(*words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["faults"], result["records"], result["simulated_hours"]) == (2, 18_000, 0.25)
    assert result["found"] == 2
    assert 0 < result["mttd_s"] < 300
    assert result["tpr"]["low"] <= result["tpr"]["value"] == 1.0
    assert result["rules"]["unusual"]["found"] == 2
    tags = Tags()
    tags.feed(page.read_text())
    assert tags.counts["svg"] >= 2
    assert tags.loads == []
    assert _same(done.stdout, evaluate(*words).stdout)


def _same(one: str, other: str) -> bool:
    """Equal but for what the clock says."""
    timed = {"p95_decision_s", "records_per_s", "cpu_s_per_1000_records"}
    left, right = json.loads(one), json.loads(other)
    return {k: v for k, v in left.items() if k not in timed} == {
        k: v for k, v in right.items() if k not in timed
    }


def test_a_scenario_that_there_is_not_is_named_with_the_nearest() -> None:
    done = evaluate("--scenario", "sensor-stick")
    assert done.returncode == 1
    assert "there is no 'sensor-stick'; did you mean 'sensor-stuck'?" in done.stderr
    assert "Traceback" not in done.stderr
