"""One service level objective, and the windows in which its error budget is watched.

The multi-window, multi-burn-rate method: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8. A burn
rate of 1 spends exactly the whole budget in the period of 30 days; 14.4 spends 2 % of it in one hour.
"""

from dataclasses import dataclass
from typing import Final, Literal

WINDOW: Final = "{{.window}}"
"""What an SLI's queries write for the length of the window, as Sloth's specification does."""

PERIOD: Final = "30d"

Severity = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True)
class Burn:
    """Tell people once the budget burns `factor` times too fast in both windows: the short one ends the alert soon."""

    factor: float
    long: str
    short: str
    severity: Severity


BURNS: Final = (
    Burn(14.4, "1h", "5m", "page"),
    Burn(6, "6h", "30m", "page"),
    Burn(3, "1d", "2h", "ticket"),
    Burn(1, "3d", "6h", "ticket"),
)

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", PERIOD)
"""Every window of which the error ratio is recorded."""


@dataclass(frozen=True, slots=True)
class Slo:
    """`objective` is the percentage of events that must be good, above 0 and below 100.

    `errors` and `total` are PromQL that counts bad and all events a second, without labels, over `WINDOW`.
    """

    name: str
    objective: float
    description: str
    errors: str
    total: str

    @property
    def budget(self) -> float:
        """The share of events that may be bad, 0 to 1, without the noise of binary fractions."""
        return round(1 - self.objective / 100, 9)


@dataclass(frozen=True, slots=True)
class Slos:
    """All objectives of one service."""

    service: str
    objectives: tuple[Slo, ...]
