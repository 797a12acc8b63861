"""Results and plots as one HTML page that needs nothing else: no script, no network."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from ingest.evaluation.panels import Panel
from ingest.evaluation.results import Result
from ingest.evaluation.svg import draw
from ingest.evaluation.table import HEADINGS, caption, rows
from mesh.costs import Prices

_STYLE: Final = """
:root { --ink: #1d2733; --quiet: #667382; --rule: #dde3ea; --back: #fff; --line: #1f6feb; --truth: #f2b84b55;
  --alert: #d1242f; --threshold: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa6b2; --rule: #30363d; --back: #0d1117;
  --line: #58a6ff; --truth: #d2992240; --alert: #ff7b72; --threshold: #bc8cff; } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 2rem auto; max-width: 1320px;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; } h3 { font-size: .95rem; margin: 1.2rem 0 .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 12.5px; }
th, td { padding: .2rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { color: var(--quiet); font-weight: 600; } th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tr.whole td { font-weight: 600; }
svg { display: block; width: 100%; max-width: 1000px; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--quiet); } svg .title { fill: var(--ink); font-weight: 600; }
svg .line { fill: none; stroke: var(--line); stroke-width: 1.2; stroke-linejoin: round; }
svg .grid { stroke: var(--rule); } svg .truth { fill: var(--truth); } svg .alert { fill: var(--alert); }
svg .opened { stroke: var(--alert); stroke-width: 1.2; stroke-dasharray: 3 2; }
svg .threshold { stroke: var(--threshold); stroke-dasharray: 5 3; } svg .name { fill: var(--threshold); }
.key span { display: inline-block; width: 1.4em; height: .7em; margin: 0 .4em 0 1.2em; }
.key .truth { background: var(--truth); } .key .alert { background: var(--alert); height: .3em; vertical-align: middle; }
.key .threshold { border-top: 1px dashed var(--threshold); height: 0; vertical-align: middle; }
"""
_KEY: Final = (
    '<p class="key"><span class="truth"></span>truth<span class="alert"></span>alert, from its opening (dashed) until it '
    'cleared<span class="threshold"></span>a rule\'s threshold</p>'
)


def page(results: Sequence[Result], panels: Mapping[str, Sequence[Panel]], prices: Prices) -> str:
    """The page: a table of everything, then each scenario with the panels of its first seed."""
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(seed for one in results for seed in one.seeds))
    note = f"MTTD is that of found faults; missed ones are in the TPR; {escape(caption(prices))}"
    parts = [
        "<h1>Evaluation</h1>",
        f"<p>Seeds: {seeds}. Intervals are of 95 %. {note}.</p>",
        _table(results, prices),
        _KEY,
        *(_section(one, panels.get(one.name, ()), prices) for one in results),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>Evaluation</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _section(result: Result, panels: Sequence[Panel], prices: Prices) -> str:
    shown = "".join(
        f"<h3>{escape(panel.says)}</h3>{''.join(draw(chart) for chart in panel.charts)}" for panel in panels
    )
    note = (
        f"{result.records:,} records, {result.late:,} late, {result.dead_lettered:,} refused. "
        f"Plots are of seed {result.seeds[0]}."
    )
    nothing = "" if panels else "<p>No fault and no alert to show.</p>"
    return f"<h2>{escape(result.name)}</h2><p>{note}</p>{_table([result], prices)}{nothing}{shown}"


def _table(results: Sequence[Result], prices: Prices) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
    body = "".join(
        f'<tr class="{"whole" if row[0] else "part"}">{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
        for result in results
        for row in rows(result, prices)
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
