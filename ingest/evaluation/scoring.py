"""Which faults did alerts find, how soon, and what did they cost in false alarms? Pure: stdlib and numpy.

A fault is found where an alert of its asset opens from its beginning until one window length after its end: so long do windows
still hold its readings. An alert outside every fault of its asset is false, and so is one in a fault that leaves values true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

import numpy as np

from ingest.evaluation.intervals import Estimate, rate, share

ANY: Final = "any"
"""Stands for all rules together: the first alert counts, whichever rule opened it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with an asset, `from_ms` until before `to_ms`. `harmless`: values stay true, so there is nothing to find."""

    asset: str
    kind: str
    from_ms: int
    to_ms: int
    sensors: tuple[str, ...] = ()
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that people were told of: when it opened and cleared (None: not yet), in milliseconds of the readings.

    A digest has no asset: it counts as an alert, and finds nothing. `sensor` is what the alert says of it, "" for nothing.
    """

    asset: str
    rule: str
    opened_ms: int
    cleared_ms: int | None = None
    sensor: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fault with its first alert; None where it was missed."""

    fault: Fault
    alert: Told | None

    @property
    def delay_s(self) -> float | None:
        """From the beginning of the fault to its first alert."""
        return None if self.alert is None else (self.alert.opened_ms - self.fault.from_ms) / 1e3


@dataclass(frozen=True, slots=True)
class Score:
    """What a rule, or all of them, made of some runs. `hours` are those of the fleet, `asset_hours` healthy ones of assets."""

    rule: str
    verdicts: tuple[Verdict, ...]
    alerts: int
    false: tuple[Told, ...]
    healthy_windows: int
    asset_hours: float
    hours: float

    @property
    def faults(self) -> int:
        """Faults that there were to find."""
        return len(self.verdicts)

    @property
    def delays_s(self) -> list[float]:
        """Of the faults that were found."""
        return [one.delay_s for one in self.verdicts if one.delay_s is not None]

    @property
    def found(self) -> int:
        """Faults that have an alert."""
        return len(self.delays_s)

    @property
    def tpr(self) -> Estimate:
        """Found of all faults."""
        return share(self.found, self.faults)

    @property
    def fpr(self) -> Estimate:
        """False alerts of all healthy windows."""
        return share(min(len(self.false), self.healthy_windows), self.healthy_windows)

    @property
    def false_per_asset_hour(self) -> Estimate:
        """False alerts in an hour of a healthy asset."""
        return rate(len(self.false), self.asset_hours)

    @property
    def mttd_s(self) -> tuple[float, float] | None:
        """Mean and median delay of found faults; missed ones are not in it. None where none was found."""
        delays = self.delays_s
        return (fmean(delays), median(delays)) if delays else None

    @property
    def alerts_per_hour(self) -> float:
        """Of the whole fleet."""
        return self.alerts / self.hours if self.hours else 0.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What was judged: `windows` are the last steps of each asset's, int64 [n] ms; `hours` is how long the run was."""

    windows: Mapping[str, np.ndarray]
    window_ms: int
    hop_ms: int
    hours: float


def score(rule: str, faults: Sequence[Fault], alerts: Sequence[Told], watched: Watched) -> Score:
    """Judge the alerts of one rule; `ANY` takes those of all rules as one."""
    chosen = sorted(
        (one for one in alerts if rule in (ANY, one.rule)), key=lambda one: (one.opened_ms, one.rule)
    )
    real = [fault for fault in faults if not fault.harmless]
    verdicts = tuple(Verdict(fault, _first(fault, chosen, watched.window_ms)) for fault in real)
    false = tuple(
        one
        for one in chosen
        if one.asset and not any(_tells(one, fault, watched.window_ms) for fault in real)
    )
    healthy = sum(_healthy(asset, times, real, watched.window_ms) for asset, times in watched.windows.items())
    hours = healthy * watched.hop_ms / 3_600_000
    return Score(rule, verdicts, len(chosen), false, healthy, hours, watched.hours)


def pooled(scores: Sequence[Score]) -> Score:
    """Several runs of one rule, at least one, as one."""
    return Score(
        scores[0].rule,
        tuple(verdict for one in scores for verdict in one.verdicts),
        sum(one.alerts for one in scores),
        tuple(alert for one in scores for alert in one.false),
        sum(one.healthy_windows for one in scores),
        sum(one.asset_hours for one in scores),
        sum(one.hours for one in scores),
    )


def _first(fault: Fault, alerts: Sequence[Told], window_ms: int) -> Told | None:
    return next((one for one in alerts if _tells(one, fault, window_ms)), None)


def _tells(alert: Told, fault: Fault, window_ms: int) -> bool:
    return alert.asset == fault.asset and fault.from_ms <= alert.opened_ms <= fault.to_ms + window_ms


def _healthy(asset: str, times: np.ndarray, faults: Sequence[Fault], window_ms: int) -> int:
    """How many of an asset's windows hold no reading of a fault."""
    touched = np.zeros(len(times), bool)
    for fault in faults:
        if fault.asset == asset:
            touched |= (times >= fault.from_ms) & (times <= fault.to_ms + window_ms)
    return int(len(times) - touched.sum())
