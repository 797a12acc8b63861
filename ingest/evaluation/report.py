"""One page with the table and plots: signal, score, alerts and truth of some machines. Needs no network and no script."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import numpy as np

from ingest.evaluation.evaluating import Result
from ingest.evaluation.playing import Played
from ingest.evaluation.plot import Band, Line, Mark, plot
from ingest.evaluation.scoring import HARMLESS
from ingest.evaluation.table import per_day, percent, seconds
from mesh.simulation.truth import Truth

_PLOTS: Final = 4
_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; color: #1b2733; }
table { border-collapse: collapse; margin: 1rem 0 2rem; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #dde3e9; }
td + td, th + th { text-align: right; } h2 { margin-top: 2.5rem; } .note { color: #5a6b7b; }
svg { display: block; margin: .5rem 0 1.2rem; }
"""


def page(results: Sequence[Result]) -> str:
    """The whole page as HTML."""
    body = "".join(part for result in results for part in _section(result))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head><body><h1>How well the telemetry chain alerts</h1>{_table(results)}"
        '<p class="note">Plots: the mean of the sensor in each window (blue), how far the asset is from usual (grey, '
        "right axis), the truth (red bands), alerts (orange lines).</p>"
        f"{body}</body></html>\n"
    )


def _table(results: Sequence[Result]) -> str:
    head = ("scenario", "found", "TPR (95 %)", "MTTD", "false alerts", "a day and asset", "alerts an hour")
    rows = [
        (
            result.case.name,
            f"{result.quality.found.hits}/{result.quality.found.of}",
            percent(result.quality.found),
            seconds(result.quality.mean_detect_s),
            str(result.quality.false_alerts),
            f"{per_day(result.quality):.2f}",
            f"{result.quality.alerts / result.hours:.1f}",
        )
        for result in results
    ]
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _section(result: Result) -> Iterator[str]:
    played = result.played
    yield f"<h2>{escape(result.case.name)}</h2><p>{escape(played.run.scenario.description)}</p>"
    truths = played.run.truths
    harmful = [truth for truth in truths if truth.kind not in HARMLESS] or truths
    shown = {truth.asset: truth for truth in harmful}
    for asset, truth in list(shown.items())[:_PLOTS]:
        yield _plot(played, asset, truth)
    false = [event.asset for event in played.events if event.asset not in shown and event.kind == "opened"]
    for asset in list(dict.fromkeys(false))[:1]:
        yield _plot(played, asset, None)


def _plot(played: Played, asset: str, truth: Truth | None) -> str:
    mine = played.columns["asset"] == asset
    minutes = (played.columns["time"][mine] - played.run.start_ms) / 60_000
    sensor = truth.sensors[0] if truth is not None and truth.sensors else played.sensors[0]
    lines = [Line(sensor, minutes, played.mean_of(sensor)[mine], "#2f6db3")]
    right = [
        Line(name, minutes, played.columns[name][mine].astype(np.float64), "#8a97a5")
        for name in ("z", "score")
        if name in played.columns
    ]
    bands = [
        Band(_minutes(played, one.from_ms), _minutes(played, one.to_ms), one.kind.replace("_", " "))
        for one in played.run.truths
        if one.asset == asset
    ]
    marks = [
        Mark(_minutes(played, event.opened_at), event.rule)
        for event in played.events
        if event.asset == asset and event.kind == "opened"
    ]
    title = f"{asset}, {sensor}" + ("" if truth is not None else " (a false alert)")
    return plot(title, lines, right[:1], bands, marks)


def _minutes(played: Played, at_ms: int) -> float:
    return (at_ms - played.run.start_ms) / 60_000
