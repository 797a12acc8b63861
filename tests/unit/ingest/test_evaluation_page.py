"""The page is well-formed and needs nothing from elsewhere; JSON says what the table says."""

import json
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from telemetry_made import TELEMETRY
from test_evaluation_trial import case, chain, play

from ingest.evaluation.document import document
from ingest.evaluation.page import page
from ingest.evaluation.panels import panels_of
from ingest.evaluation.playing import Played
from ingest.evaluation.results import judged
from ingest.evaluation.svg import Band, Chart, draw
from ingest.evaluation.table import HEADINGS, rows
from mesh.costs import Prices
from mesh.costs.usage import HOUR_S

PRICES = Prices("EUR", "a list", "2026-01-01", cpu_hour=0.5, memory_gb_hour=0.01)


def parsed(text):
    return ET.fromstring(text)  # noqa: S314 - it is our own


def played():
    outcome = play(chain())
    return Played(case(), outcome, judged(case(), outcome, ("far",), TELEMETRY.grid))


def test_the_page_shows_signal_curve_truth_and_alert_of_a_found_fault():
    one = played()
    panels = panels_of(one, chain())
    assert "level_shift found after" in panels[0].says
    signal, curve = panels[0].charts
    assert (signal.title, curve.title) == ("flow", "z")
    assert curve.thresholds == [("far", 20.0)]
    assert [(band.begins, band.ends) for band in signal.bands if band.kind == "truth"] == [(60.0, 80.0)]
    assert any(band.kind == "alert" and 60 <= band.begins <= 88 for band in signal.bands)
    text = page([one.result], {"shift": panels}, PRICES)
    root = parsed(text.removeprefix("<!DOCTYPE html>\n"))
    assert len(root.findall(".//svg")) == sum(len(panel.charts) for panel in panels)
    assert not re.search(r"(src|href)=|https?://|<script", text), "nothing is fetched"


def test_a_line_has_gaps_and_keeps_its_extremes_when_it_is_thinned():
    seconds = np.arange(10_000.0)
    values = np.sin(seconds / 50)
    values[5_000] = 9.0
    values[2_000:2_100] = np.nan
    svg = parsed(draw(Chart("x < y", seconds, values, 10_000.0, [Band(10, 20, "truth", "<kind>")])))
    lines = [line.get("points").split() for line in svg.findall("polyline")]
    assert len(lines) == 2
    heights = [float(point.split(",")[1]) for line in lines for point in line]
    assert len(heights) < 1_000
    assert sum(height < 0.3 * max(heights) for height in heights) == 1, "the one spike is kept"
    assert svg.find("text[@class='title']").text == "x < y"


def test_a_chart_without_a_value_is_still_a_chart():
    svg = parsed(draw(Chart("none", np.arange(3.0), np.full(3, np.nan), 3.0)))
    assert not svg.findall("polyline")


def test_json_and_table_say_the_same():
    result = played().result
    scenario = json.loads(document([result], PRICES))["scenarios"][0]
    whole, far = scenario["rules"]
    assert (scenario["name"], scenario["seeds"], scenario["records"]) == ("shift", [1], result.records)
    assert (whole["rule"], whole["faults"], whole["found"], whole["missed"]) == ("any", 2, 2, 0)
    assert far["tpr"]["value"] == 1.0
    table = rows(result, PRICES)
    assert [len(row) for row in table] == [len(HEADINGS)] * len(table)
    assert table[0][:3] == ("shift", "any", "2 of 2")
    assert table[1][1] == "far"


def test_what_there_is_none_of_is_null():
    result = judged(case(), play(chain()), ("silent",), TELEMETRY.grid)
    silent = json.loads(document([result], PRICES))["scenarios"][0]["rules"][1]
    assert silent["mttd_s"] == {"mean": None, "median": None}
    assert silent["alerts"] == 0


def test_an_hour_of_the_fleet_costs_its_processor_time_and_the_memory_held():
    result = played().result
    cost = json.loads(document([result], PRICES))["scenarios"][0]["cost"]
    hours = result.scores[0].hours
    cpu_s, memory = result.efforts[0].cpu_s, result.efforts[0].memory_bytes
    per_hour = cpu_s / HOUR_S / hours * 0.5 + memory / 1e9 * 0.01
    assert cost["per_hour"] == pytest.approx(per_hour)
    assert cost["per_1000_records"] == pytest.approx(1_000 * per_hour * hours / result.records)
    alerts, false = result.scores[0].alerts, len(result.scores[0].false)
    assert cost["per_true_alert"] == pytest.approx(per_hour * hours / (alerts - false))
    assert (cost["currency"], cost["estimate"]) == ("EUR", True)
