"""What was declared in `alerts.yaml`: rules, the budget of people's attention, and how long alerts are kept."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from mesh.alerts.summary import Summary
from mesh.routing.when import When

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the lowest to the highest."""

DIGEST: Final = "digest"
"""The rule's name of alerts that stand for several others; no rule may take it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert opens and clears. All times are milliseconds of the rows' own clock.

    `hold_ms`: `when` must hold so long before an alert opens. `hold_off_ms`: after one opened, none opens again for the same
    key for so long. `dedup_ms`: an open alert is told again at most once in this time. `clear_when` (None: where `when` does not
    hold) must hold for `clear_hold_ms` until the alert clears. `key` is the attribute that tells one asset's alerts apart.
    """

    name: str
    when: When
    severity: Severity
    summary: Summary
    hold_ms: int = 0
    hold_off_ms: int = 0
    dedup_ms: int = 0
    clear_when: When | None = None
    clear_hold_ms: int = 0
    key: str | None = None
    runbook: str = ""

    @property
    def shows(self) -> tuple[str, ...]:
        """The attributes that an alert carries as evidence: those that the condition and the summary read."""
        return tuple(sorted(self.when.reads | self.summary.names))


@dataclass(frozen=True, slots=True)
class Budget:
    """So many alerts in `per_ms` for each of the analysts on a shift; past it, all but critical ones are grouped."""

    per_ms: int = 600_000
    alerts: int = 1
    analysts: int = 1

    @property
    def allowance(self) -> int:
        """Alerts of one window that stand alone."""
        return self.alerts * self.analysts

    def window(self, opened_at: int) -> int:
        """The number of the window that an alert opened in, by its own time in milliseconds."""
        return opened_at // self.per_ms


@dataclass(frozen=True, slots=True)
class Retention:
    """At most `alerts`, none older than `keep_ms` before the newest. Resolved ones make room first."""

    alerts: int = 10_000
    keep_ms: int = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of `alerts.yaml`. `max_keys`: keys of one asset that a rule remembers."""

    rules: tuple[Rule, ...] = ()
    budget: Budget = Budget()
    retention: Retention = Retention()
    max_keys: int = 64
