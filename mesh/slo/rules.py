"""Objectives as a Prometheus rule file. Names of series are Sloth's, so that its dashboards show them."""

from collections.abc import Sequence
from typing import Final

from mesh.slo.objective import BURNS, PERIOD, WINDOW, WINDOWS, Burn, Severity, Slo, Slos

Rule = dict[str, object]

_SAYS: Final[dict[Severity, str]] = {
    "page": "Somebody should look now",
    "ticket": "Somebody should look within days",
}


def slo_rules(slos: Slos) -> dict[str, object]:
    """The document of a rule file: one group an objective, which records and then alerts."""
    groups: list[dict[str, object]] = []
    for slo in slos.objectives:
        labels = {"service": slos.service, "slo": slo.name}
        # In one group, because the rules of a group are evaluated one after the other.
        groups.append({"name": f"slo-{slo.name}", "rules": _recorded(slo, labels) + _alerts(slo, labels)})
    return {"groups": groups}


def _recorded(slo: Slo, labels: dict[str, str]) -> list[Rule]:
    rules: list[Rule] = [
        {"record": _ratio(window), "expr": _error_ratio(slo, window), "labels": {**labels}}
        for window in WINDOWS
    ]
    selector = _selector(labels)
    budget = f"{slo.budget:g}"
    rules += [
        {"record": "slo:error_budget:ratio", "expr": f"vector({budget})", "labels": {**labels}},
        {
            "record": "slo:current_burn_rate:ratio",
            "expr": f"{_ratio('5m')}{selector} / {budget}",
            "labels": {**labels},
        },
        {
            "record": "slo:period_error_budget_remaining:ratio",
            "expr": f"1 - {_ratio(PERIOD)}{selector} / {budget}",
            "labels": {**labels},
        },
    ]
    return rules


def _error_ratio(slo: Slo, window: str) -> str:
    """No errors yet means a series that is not there; no events mean no ratio."""
    errors, total = (text.replace(WINDOW, window) for text in (slo.errors, slo.total))
    return f"(({errors}) or vector(0)) / (({total}) > 0)"


def _alerts(slo: Slo, labels: dict[str, str]) -> list[Rule]:
    severities: Sequence[Severity] = ("page", "ticket")
    return [_alert(slo, labels, severity) for severity in severities]


def _alert(slo: Slo, labels: dict[str, str], severity: Severity) -> Rule:
    burns = [burn for burn in BURNS if burn.severity == severity]
    words = " or ".join(f"{burn.factor:g} times over {burn.long}" for burn in burns)
    return {
        "alert": "MeshSloBurn" + severity.capitalize(),
        "expr": "\nor\n".join(_burning(slo, labels, burn) for burn in burns),
        "labels": {**labels, "severity": severity},
        "annotations": {
            "summary": f"{slo.name}: the error budget burns too fast",
            "description": f"{slo.description} ({slo.objective:g} %). The budget of {PERIOD} is spent at more than "
            f"{words}. {_SAYS[severity]}.",
            "runbook_url": "docs/observability.md#slo-burn",
        },
    }


def _burning(slo: Slo, labels: dict[str, str], burn: Burn) -> str:
    selector, bound = _selector(labels), f"{burn.factor:g} * {slo.budget:g}"
    return f"({_ratio(burn.short)}{selector} > {bound} and {_ratio(burn.long)}{selector} > {bound})"


def _ratio(window: str) -> str:
    return f"slo:sli_error:ratio_rate{window}"


def _selector(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
