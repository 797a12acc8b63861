"""Alerts against the truth: what was found, how soon, and what was false. Pure.

A fault counts as found where an alert of its asset opens from its beginning until one window after its end; every further
alert in that time is of the same fault. All others are false, also those in a fault that leaves every value true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from mesh.simulation.truth import Truth

HARMLESS: Final = frozenset({"clock_skew", "duplicates", "late", "flood"})
"""Faults on the way, which leave every value true: nobody should be alerted."""

_Z95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with Wilson's 95 % interval (Wilson, JASA 22, 1927); NaN of none."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Between these it lies with 95 % confidence."""
        n = self.of
        if not n:
            return float("nan"), float("nan")
        p, z2 = self.hits / n, _Z95 * _Z95
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        reach = _Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert: whose, when it opened, by which rule."""

    asset: str
    at_ms: int
    rule: str


@dataclass(frozen=True, slots=True)
class Quality:
    """`found` of the faults, and how long each of those took; `missed` are counted beside the mean, never in it.

    `false_windows` of all healthy windows alerted falsely; `false_alerts` in `asset_hours` of healthy running.
    """

    found: Share
    detect_s: tuple[float, ...]
    missed: int
    false_alerts: int
    false_windows: Share
    asset_hours: float
    alerts: int

    @property
    def mean_detect_s(self) -> float:
        """MTTD over the faults that were found; NaN where none was."""
        return sum(self.detect_s) / len(self.detect_s) if self.detect_s else float("nan")


def judge(
    truths: Sequence[Truth], opened: Sequence[Opened], windows: int, window_ms: int, asset_hours: float
) -> Quality:
    """`windows` were judged in `asset_hours` of running, each `window_ms` long."""
    harmful = [truth for truth in truths if truth.kind not in HARMLESS]
    first: dict[int, int] = {}
    false = 0
    for alert in sorted(opened, key=lambda one: one.at_ms):
        of = [
            at
            for at, truth in enumerate(harmful)
            if truth.asset == alert.asset and truth.from_ms <= alert.at_ms < truth.to_ms + window_ms
        ]
        if not of:
            false += 1
        for at in of:
            first.setdefault(at, alert.at_ms)
    faulty_hours = sum(truth.to_ms - truth.from_ms + window_ms for truth in harmful) / 3.6e6
    healthy = max(0, round(windows * (1 - min(1.0, faulty_hours / asset_hours)))) if asset_hours else 0
    return Quality(
        found=Share(len(first), len(harmful)),
        detect_s=tuple((at - harmful[index].from_ms) / 1e3 for index, at in sorted(first.items())),
        missed=len(harmful) - len(first),
        false_alerts=false,
        false_windows=Share(min(false, healthy), healthy),
        asset_hours=max(0.0, asset_hours - faulty_hours),
        alerts=len(opened),
    )


def pooled(parts: Sequence[Quality]) -> Quality:
    """Several runs as one."""
    return Quality(
        found=Share(sum(one.found.hits for one in parts), sum(one.found.of for one in parts)),
        detect_s=tuple(seconds for one in parts for seconds in one.detect_s),
        missed=sum(one.missed for one in parts),
        false_alerts=sum(one.false_alerts for one in parts),
        false_windows=Share(
            sum(one.false_windows.hits for one in parts), sum(one.false_windows.of for one in parts)
        ),
        asset_hours=sum(one.asset_hours for one in parts),
        alerts=sum(one.alerts for one in parts),
    )
