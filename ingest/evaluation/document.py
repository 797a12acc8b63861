"""Results as JSON; docs/evaluation.md says what each key means."""

import math
from collections.abc import Sequence

import msgspec

from ingest.evaluation.intervals import Estimate
from ingest.evaluation.pricing import priced
from ingest.evaluation.results import Result
from ingest.evaluation.scoring import Score
from mesh.costs import Prices


def document(results: Sequence[Result], prices: Prices) -> bytes:
    """One object with a list of scenarios; a number that there is none of is null."""
    return msgspec.json.format(
        msgspec.json.encode({"scenarios": [_scenario(one, prices) for one in results]}), indent=2
    )


def _scenario(result: Result, prices: Prices) -> dict[str, object]:
    return {
        "name": result.name,
        "seeds": result.seeds,
        "records": result.records,
        "late": result.late,
        "dead_lettered": result.dead_lettered,
        "records_per_s": round(result.records_per_s, 1),
        "p95_s": round(result.p95_s, 6),
        "cpu_s_per_1000": round(result.cpu_s_per_1000, 6),
        "cost": _cost(result, prices),
        "rules": [_rule(score) for score in result.scores],
    }


def _cost(result: Result, prices: Prices) -> dict[str, object]:
    found = priced(result, prices)
    return {
        "estimate": True,
        "currency": prices.currency,
        "prices_of": prices.date,
        "per_hour": found.per_hour,
        "per_1000_records": found.per_1000_records,
        "per_alert": found.per_alert,
        "per_true_alert": found.per_true_alert,
    }


def _rule(score: Score) -> dict[str, object]:
    mean, median = score.mttd_s or (None, None)
    return {
        "rule": score.rule,
        "faults": score.faults,
        "found": score.found,
        "missed": score.faults - score.found,
        "tpr": _estimate(score.tpr),
        "mttd_s": {"mean": mean, "median": median},
        "alerts": score.alerts,
        "alerts_per_hour": score.alerts_per_hour,
        "false_alerts": len(score.false),
        "healthy_windows": score.healthy_windows,
        "fpr": _estimate(score.fpr),
        "asset_hours": score.asset_hours,
        "false_per_asset_hour": _estimate(score.false_per_asset_hour),
    }


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {
        name: None if math.isnan(value) else value
        for name, value in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }
