"""How good a detector is: which faults it finds and how soon, and how often it cries wolf."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mesh.learning.anomaly.windows import WindowSet, touched

Z95: Final = 1.959964
DAY_MS: Final = 86_400_000
LEVELS: Final = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Share:
    """`found` of `of`, and the bounds of a 95 % interval for the share (E. Wilson, JASA 1927) of independent trials."""

    found: int
    of: int

    @property
    def share(self) -> float:
        """0 where there is nothing."""
        return self.found / self.of if self.of else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """0 and 1 where there is nothing."""
        if not self.of:
            return 0.0, 1.0
        n, p, z2 = self.of, self.share, Z95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        reach = Z95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        low, high = self.bounds
        return {
            "found": self.found,
            "of": self.of,
            "share": round(self.share, 5),
            "low": round(low, 5),
            "high": round(high, 5),
        }


@dataclass(frozen=True, slots=True)
class KindQuality:
    """One kind of fault.

    A fault counts as found where a window that ends in it, or up to one window's length after it, is above the threshold.
    `delay_s` is the mean of the found faults' delays, None where none was; `delay_missed_s` counts the whole length of the
    missed ones. `chance` is the share of healthy stretches of the same length in which a window is above the threshold: what
    would be found were there nothing to find.
    """

    found: Share
    delay_s: float | None
    delay_missed_s: float
    chance: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            **self.found.as_dict(),
            "mean_delay_s": None if self.delay_s is None else round(self.delay_s, 1),
            "missed": self.found.of - self.found.found,
            "mean_delay_missed_counted_s": round(self.delay_missed_s, 1),
            "chance": round(self.chance, 4),
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """At one threshold: every kind of fault, and what healthy windows gave.

    `false_windows` counts healthy windows above it, `false_assets` assets with at least one. An alert is a run of such
    windows without one below; `false_alerts` counts those, `asset_days` how long was watched.
    """

    threshold: float
    kinds: dict[str, KindQuality]
    false_windows: Share
    false_assets: Share
    false_alerts: int
    asset_days: float

    @property
    def alerts_per_asset_day(self) -> float:
        """0 where nothing was watched."""
        return self.false_alerts / self.asset_days if self.asset_days else 0.0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "threshold": self.threshold,
            "kinds": {kind: one.as_dict() for kind, one in self.kinds.items()},
            "false_windows": self.false_windows.as_dict(),
            "false_assets": self.false_assets.as_dict(),
            "false_alerts": self.false_alerts,
            "asset_days": round(self.asset_days, 3),
            "false_alerts_per_asset_day": round(self.alerts_per_asset_day, 2),
        }


@dataclass(frozen=True, slots=True)
class Scored:
    """Windows and what a detector said of them: `score` [M]."""

    windows: WindowSet
    score: np.ndarray


def measure(faulty: Sequence[Scored], healthy: Sequence[Scored], threshold: float) -> Quality:
    """`faulty` gives the kinds; `healthy` the false alarms, from its healthy windows alone."""
    delays: dict[str, list[tuple[float | None, int]]] = {}
    for one in faulty:
        for kind, delay, length in _delays(one, threshold):
            delays.setdefault(kind, []).append((delay, length))
    calm = [_above(one, threshold) for one in healthy]
    above = np.concatenate([np.empty(0, np.bool_), *(part for _, part in calm)])
    assets = [bool(part[run].any()) for windows, part in calm for run in _assets(windows)]
    hop_ms = healthy[0].windows.layout.hop_ms if healthy else 0
    return Quality(
        threshold=threshold,
        kinds={kind: _kind(found, calm) for kind, found in sorted(delays.items())},
        false_windows=Share(int(above.sum()), len(above)),
        false_assets=Share(sum(assets), len(assets)),
        false_alerts=sum(_begins(windows, part) for windows, part in calm),
        asset_days=len(above) * hop_ms / DAY_MS,
    )


def flips(first: np.ndarray, second: np.ndarray, threshold: float) -> int:
    """How many of N decisions `score > threshold` differ between two computations of the same score."""
    return int(((first > threshold) != (second > threshold)).sum())


def _above(scored: Scored, threshold: float) -> tuple[WindowSet, np.ndarray]:
    """The healthy windows, and bool [M] which of them are above."""
    healthy = scored.windows.healthy
    return scored.windows.take(healthy), scored.score[healthy] > threshold


def _delays(scored: Scored, threshold: float) -> list[tuple[str, float | None, int]]:
    """Of each episode its kind, the milliseconds until it was found (None: never), and its length with one window after."""
    windows = scored.windows
    found: list[tuple[str, float | None, int]] = []
    for one in windows.episodes:
        inside = touched(one, windows.asset, windows.time, windows.layout.window_ms)
        times = windows.time[inside & (scored.score > threshold)]
        delay = float(times.min() - one.from_ms) if len(times) else None
        found.append((one.kind, delay, one.to_ms - one.from_ms + windows.layout.window_ms))
    return found


def _kind(
    delays: Sequence[tuple[float | None, int]], calm: Sequence[tuple[WindowSet, np.ndarray]]
) -> KindQuality:
    found = [delay for delay, _ in delays if delay is not None]
    whole = [length if delay is None else delay for delay, length in delays]
    lengths = [length for _, length in delays]
    return KindQuality(
        found=Share(len(found), len(delays)),
        delay_s=float(np.mean(found)) / 1e3 if found else None,
        delay_missed_s=float(np.mean(whole)) / 1e3,
        chance=_chance(float(np.mean(lengths)), calm),
    )


def _chance(length_ms: float, calm: Sequence[tuple[WindowSet, np.ndarray]]) -> float:
    """The share of stretches of healthy windows, of this length at most, with one above."""
    hits = stretches = 0
    for windows, above in calm:
        width = max(1, round(length_ms / windows.layout.hop_ms))
        for run in _assets(windows):
            count = np.cumsum(np.append(0, above[run]))
            reach = min(width, len(count) - 1)
            hits += int((count[reach:] > count[:-reach]).sum())
            stretches += len(count) - reach
    return hits / stretches if stretches else 0.0


def _assets(windows: WindowSet) -> list[slice]:
    """Where each asset's windows stand."""
    bounds = np.flatnonzero(np.diff(windows.asset, prepend=-1, append=-1))
    return [slice(begin, end) for begin, end in pairwise(bounds.tolist())]


def _begins(windows: WindowSet, above: np.ndarray) -> int:
    return sum(int((np.diff(above[run].astype(np.int8), prepend=0) > 0).sum()) for run in _assets(windows))


def calibration(score: np.ndarray) -> dict[str, float]:
    """The share of healthy windows [M] above each level: 1 less the level, where the score is calibrated; none of none."""
    if not len(score):
        return {}
    return {f"{level:g}": round(float((score > level).mean()), 5) for level in LEVELS}


def spread(confidence: np.ndarray) -> dict[str, object]:
    """How confidence lies over 0-1: windows per tenth, and the share that reaches 0.6."""
    counts, _ = np.histogram(confidence, bins=10, range=(0, 1))
    return {
        "windows_per_tenth": counts.tolist(),
        "share_at_least_0.6": round(float((confidence >= 0.6).sum()) / max(1, len(confidence)), 4),
    }
