"""The shipped dashboards: made from code, laid out without overlaps, and of metrics that there are."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from mesh.dashboards.__main__ import FOLDER, dashboards, files
from mesh.dashboards.panel import Dashboard, dashboard_json
from mesh.spec import load_prices
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.triton import SERIES

ROOT = Path(__file__).resolve().parents[3]
ALL = dashboards(load_prices(ROOT / "config"))
KNOWN = {
    *REGISTRY,
    *(f"{name}{suffix}" for name in REGISTRY for suffix in ("_bucket", "_sum", "_count")),
    *(series.name for series in SERIES),
    "ALERTS",
    "slo:current_burn_rate:ratio",
}


def test_the_files_are_what_the_code_says():
    assert {file.name: file.read_text() for file in FOLDER.glob("*.json")} == files(), (
        "run: python -m mesh.dashboards"
    )


@pytest.mark.parametrize("dashboard", ALL, ids=lambda one: one.uid)
def test_panels_do_not_overlap_and_have_titles_of_their_own(dashboard: Dashboard):
    panels = json.loads(json.dumps(dashboard_json(dashboard)))["panels"]
    places = [panel["gridPos"] for panel in panels]
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (a, b)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for row in dashboard.rows:
        titles = [panel.title for panel in row.panels]
        assert len(titles) == len(set(titles))
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


@pytest.mark.parametrize("dashboard", ALL, ids=lambda one: one.uid)
def test_panels_ask_only_for_metrics_that_there_are(dashboard: Dashboard):
    for panel in dashboard.panels():
        for query in panel.queries:
            for name in re.findall(r"\b(?:ml|mesh|nv|slo)[_:][a-z0-9_:]+|ALERTS", query.expr):
                assert name in KNOWN, f"{panel.title}: {name}"


def test_every_dashboard_is_of_the_five():
    assert [one.uid for one in ALL] == [
        f"hyperstream-{name}" for name in ("overview", "routing", "stream", "models", "cost")
    ]
