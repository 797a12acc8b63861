"""Results as a table for people."""

import math
from collections.abc import Sequence

from rich.table import Table

from ingest.evaluation.intervals import Estimate
from ingest.evaluation.pricing import priced
from ingest.evaluation.results import Result
from ingest.evaluation.scoring import Score
from mesh.cli.figures import milliseconds
from mesh.costs import Prices

HEADINGS = (
    "scenario",
    "rule",
    "found",
    "TPR",
    "MTTD mean / median",
    "false",
    "FPR of windows",
    "false / asset-hour",
    "alerts / h",
    "p95",
    "records / s",
    "CPU s / 1,000",
    "cost / h",
)
"""What `cells` gives."""


def results_table(results: Sequence[Result], prices: Prices) -> Table:
    """All rules of a scenario together, then each that told something."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if place < 2 else "right", no_wrap=place < 2)
    for result in results:
        for row in rows(result, prices):
            table.add_row(*row, style="bold" if row[0] else "")
    return table


def rows(result: Result, prices: Prices) -> list[tuple[str, ...]]:
    """One row for all rules together, and one for each rule that told something."""
    whole = (
        milliseconds(result.p95_s),
        f"{result.records_per_s:,.0f}",
        f"{result.cpu_s_per_1000:.3f}",
        f"{priced(result, prices).per_hour:.4f} {prices.currency}",
    )
    first, *others = result.scores
    spoke = [score for score in others if score.alerts]
    return [
        (result.name, first.rule, *cells(first), *whole),
        *(("", score.rule, *cells(score), *("" for _ in whole)) for score in spoke),
    ]


def cells(score: Score) -> tuple[str, ...]:
    """What a rule made of a scenario."""
    return (
        f"{score.found} of {score.faults}" if score.faults else "-",
        _percent(score.tpr, 0),
        _delay(score),
        f"{len(score.false)}",
        _percent(score.fpr, 2),
        _plain(score.false_per_asset_hour),
        f"{score.alerts_per_hour:.1f}",
    )


def _delay(score: Score) -> str:
    if score.mttd_s is None:
        return "-"
    mean, median = score.mttd_s
    return f"{mean:.0f} / {median:.0f} s"


def _percent(estimate: Estimate, digits: int) -> str:
    """`80 % (55-93)`."""
    if math.isnan(estimate.value):
        return "-"
    value, low, high = (f"{100 * part:.{digits}f}" for part in (estimate.value, estimate.low, estimate.high))
    return f"{value} % ({low}..{high})"


def _plain(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "-"
    return f"{estimate.value:.2f} ({estimate.low:.2f}..{estimate.high:.2f})"


def caption(prices: Prices) -> str:
    """Whose prices the costs were made with."""
    return f"costs are estimates at the prices of {prices.date}: {prices.source}"
