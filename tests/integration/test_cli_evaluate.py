"""`hyperstream evaluate` as a user calls it, with the shipped configuration: what is found, JSON, and a page."""

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
        timeout=400,
        check=False,
    )


class Tags(HTMLParser):
    """Everything that a page would load, and how many charts it has."""

    def __init__(self) -> None:
        super().__init__()
        self.charts = 0
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.charts += tag == "svg"
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_shipped_rules_find_stuck_sensors_and_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    words = ("--scenario", "sensor-stuck", "--assets", "20", "--seed", "5", "--json", "--report", str(page))
    done = evaluate(*words)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["scenarios"]
    rules = {one["rule"]: one for one in result["rules"]}
    assert (result["records"], result["dead_lettered"]) == (18_000, 0)
    for rule in ("any", "unusual", "anomaly"):
        assert (rules[rule]["faults"], rules[rule]["found"]) == (2, 2), rule
        assert 0 < rules[rule]["mttd_s"]["mean"] < 300
    tags = Tags()
    tags.feed(page.read_text())
    assert tags.charts >= 1
    assert tags.loads == []


def test_a_scenario_that_there_is_not_is_named() -> None:
    done = evaluate("--scenario", "sensor-stick")
    assert done.returncode == 1
    assert "sensor-stick" in done.stderr
    assert "Traceback" not in done.stderr
