"""`alerts.yaml`: what people should look at, and how much of it. `docs/alerts.md` explains it."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from mesh.alerts.rules import DIGEST, Budget, Retention, Rule, Severity
from mesh.alerts.summary import read_summary
from mesh.routing.when import When
from mesh.spec.durations import Duration, LongerThanZero
from mesh.spec.fields import Count, Name, Positive, Strict, Text


def _readable(text: str) -> str:
    read_summary(text)
    return text


Template = Annotated[Text, AfterValidator(_readable)]


class RuleEntry(Strict):
    """One rule: when an alert opens, and when it clears."""

    name: Name
    """Names the rule in alerts, metrics and ids; unique in the file."""
    when: Text
    """The rows for which it holds, an expression over their attributes."""
    severity: Severity
    """`info`, `warning` or `critical`; critical alerts never wait in a digest."""
    hold: Duration = Field(default=0, alias="for")
    """How long `when` must hold before an alert opens."""
    hold_off: Duration = 0
    """After an alert opened, none opens again for the same key for so long."""
    dedup: Duration = 300_000
    """An open alert is told again at most once in this time; rows between are counted."""
    clear_when: Text | None = None
    """The rows that clear it; those for which `when` does not hold where it is not given."""
    clear_for: Duration = 0
    """How long that must hold before the alert clears."""
    key: Text = "asset"
    """The attribute that tells one asset's alerts apart; `asset` is one alert an asset."""
    summary: Template = "{asset}"
    """The alert's text, with `{name}` or `{name:.2f}` for attributes."""
    runbook: str = ""
    """Where it says what to do."""

    def rule(self, when: When, clear_when: When | None) -> Rule:
        """The same, for the rest of the mesh, with its compiled conditions."""
        return Rule(
            name=self.name,
            when=when,
            severity=self.severity,
            summary=read_summary(self.summary),
            hold_ms=self.hold,
            hold_off_ms=self.hold_off,
            dedup_ms=self.dedup,
            clear_when=clear_when,
            clear_hold_ms=self.clear_for,
            key=None if self.key == "asset" else self.key,
            runbook=self.runbook,
        )


class BudgetEntry(Strict):
    """How many alerts people can look at."""

    per: LongerThanZero = 600_000
    """The length of a budget window."""
    alerts: Count = 1
    """Alerts of a window that stand alone, for each analyst."""
    analysts: Count = 1
    """Analysts on a shift."""

    def budget(self) -> Budget:
        """The same, for the rest of the mesh."""
        return Budget(self.per, self.alerts, self.analysts)


class RetentionEntry(Strict):
    """How long alerts are kept."""

    alerts: Count = 10_000
    """The most that are kept; resolved ones make room first."""
    days: Positive = 30.0
    """How far before the newest alert the oldest may lie."""

    def retention(self) -> Retention:
        """The same, for the rest of the mesh."""
        return Retention(self.alerts, int(self.days * 86_400_000))


class AlertsFile(Strict):
    """The whole file."""

    rules: tuple[RuleEntry, ...] = ()
    """The rules; each is judged for itself."""
    budget: BudgetEntry = BudgetEntry()
    """What people can look at; past it, alerts that are not critical are grouped into one."""
    retention: RetentionEntry = RetentionEntry()
    """How many alerts are kept, and for how long."""
    max_keys: Count = 64
    """The keys of one asset that a rule remembers; past it the one that was silent for longest is forgotten."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules names '{twice[0]}' twice; rename one")
        if DIGEST in names:
            raise ValueError(f"no rule may be named '{DIGEST}', which stands for grouped alerts; rename it")
        return self
