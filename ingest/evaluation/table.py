"""Results as a table for people, and as JSON for programs."""

from collections.abc import Sequence
from math import isnan
from typing import Any

from rich import box
from rich.table import Table

from ingest.evaluation.evaluating import Result
from ingest.evaluation.scoring import Quality, Share


def as_table(results: Sequence[Result]) -> Table:
    """A row a scenario."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    for name in ("found", "TPR (95 %)", "MTTD", "false", "a day", "alerts/h", "p95", "rec/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        quality = result.quality
        table.add_row(
            result.case.name,
            f"{quality.found.hits}/{quality.found.of}",
            percent(quality.found),
            seconds(quality.mean_detect_s),
            str(quality.false_alerts),
            f"{per_day(quality):.2f}",
            f"{quality.alerts / result.hours:.0f}",
            f"{result.p95_s * 1e3:.0f} ms",
            f"{result.records_per_s:,.0f}",
        )
    table.caption = "a day: false alerts of one asset in a day of healthy running"
    table.caption_justify = "left"
    return table


def as_json(result: Result) -> dict[str, Any]:
    """One scenario: counts, shares with their intervals, seconds; null where there is nothing to say."""
    return {
        "scenario": result.case.name,
        "seeds": [run.seed for run in result.case.runs],
        "assets": len(result.case.runs[0].assets),
        "simulated_hours": result.hours,
        "records": result.records,
        "dead_letters": result.dead_letters,
        **_quality(result.quality),
        "alerts_per_hour": result.quality.alerts / result.hours,
        "p95_decision_s": result.p95_s,
        "records_per_s": result.records_per_s,
        "cpu_s_per_1000_records": result.cpu_s_per_1000,
        "rules": {name: _quality(quality) for name, quality in result.rules.items()},
    }


def percent(share: Share, digits: int = 0) -> str:
    """`80 % (55-93)`; `-` of none."""
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.value:.{digits}%} ({100 * low:.{digits}f}-{100 * high:.{digits}f})".replace("%", " %")


def seconds(value: float) -> str:
    """Whole seconds; `-` where there are none."""
    return "-" if isnan(value) else f"{value:.0f} s"


def per_day(quality: Quality) -> float:
    """False alerts of one asset in a day of healthy running."""
    return 24 * quality.false_alerts / quality.asset_hours if quality.asset_hours else 0.0


def _quality(quality: Quality) -> dict[str, Any]:
    mean = quality.mean_detect_s
    return {
        "faults": quality.found.of,
        "found": quality.found.hits,
        "missed": quality.missed,
        "tpr": _share(quality.found),
        "mttd_s": None if isnan(mean) else mean,
        "false_alerts": quality.false_alerts,
        "fpr_per_window": _share(quality.false_windows),
        "false_alerts_per_asset_day": per_day(quality),
    }


def _share(share: Share) -> dict[str, float] | None:
    if not share.of:
        return None
    low, high = share.interval
    return {"value": share.value, "low": low, "high": high}
