"""Many streams at once: values are averaged over stretches of the rows' own time, and the averages are tested.

Windows overlap and neighbouring rows resemble each other, while both tests suppose independent values. One mean for each
stretch of time comes nearer to that, and makes the detectors' cost independent of the rows. A stretch is tested once a later one
begins, so time comes from the rows alone and a replay gives the same alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from mesh.drift.adwin import Adwin
from mesh.drift.page_hinkley import PageHinkley

Detector = Literal["adwin", "page-hinkley"]

LARGEST: Final = 1e100
"""What is beyond it says nothing: squares and sums of what is tested must stay finite, or a detector is deaf from then on."""


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """When a change counts.

    `period_ms` is the stretch whose mean is one value. `delta` is ADWIN's chance of a false cut at one test. `shift` is the
    change of mean that Page-Hinkley ignores and `threshold` the sum that alarms, both in the stream's unit (all are 0-1).
    After an alarm the stream is silent for `quiet_ms`. At most `most_streams` streams are followed.
    """

    period_ms: int = 60_000
    delta: float = 0.002
    shift: float = 0.01
    threshold: float = 0.5
    quiet_ms: int = 3_600_000
    most_streams: int = 64


@dataclass(frozen=True, slots=True)
class Alarm:
    """A stream changed: which detectors say so, its mean before and now, and the time of the stretch that showed it (ms)."""

    stream: str
    detectors: tuple[Detector, ...]
    before: float
    now: float
    at: int


@dataclass(slots=True)
class _Stream:
    adwin: Adwin
    page_hinkley: PageHinkley
    stretch: int = -1
    count: int = 0
    total: float = 0.0
    mean: float = float("nan")
    quiet_until: int = field(default=-(1 << 62))


class DriftWatch:
    """Not thread-safe: one caller at a time."""

    def __init__(self, policy: DriftPolicy) -> None:
        self._policy = policy
        self._streams: dict[str, _Stream] = {}
        self.refused = 0

    @property
    def means(self) -> Mapping[str, float]:
        """The mean of each stream's last whole stretch; NaN before there is one."""
        return {name: one.mean for name, one in self._streams.items()}

    def observe(self, values: Mapping[str, np.ndarray], time_ms: np.ndarray) -> list[Alarm]:
        """N rows: float [N] by stream, and int64 [N] their times. Values that are not finite, or beyond `LARGEST`, say nothing.

        Rows of a stretch that is over are counted with the running one. A stream past `most_streams` is not followed, and
        counted in `refused`.
        """
        alarms = []
        order = np.argsort(time_ms, kind="stable")
        stretches = time_ms[order] // self._policy.period_ms
        for name, column in values.items():
            stream = self._followed(name)
            if stream is not None:
                alarms += self._take(name, stream, np.asarray(column, np.float64)[order], stretches)
        return alarms

    def _followed(self, name: str) -> _Stream | None:
        found = self._streams.get(name)
        if found is None:
            if len(self._streams) >= self._policy.most_streams:
                self.refused += 1
                return None
            policy = self._policy
            # A stretch is a value already: every one is tested.
            found = _Stream(
                Adwin(policy.delta, clock=1), PageHinkley(policy.shift, policy.threshold, alpha=1.0)
            )
            self._streams[name] = found
        return found

    def _take(self, name: str, stream: _Stream, values: np.ndarray, stretches: np.ndarray) -> list[Alarm]:
        alarms: list[Alarm] = []
        known = np.abs(values) <= LARGEST
        values, stretches = values[known], stretches[known]
        if not len(values):
            return alarms
        begins = np.flatnonzero(np.r_[True, stretches[1:] != stretches[:-1]])
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(values)], strict=True):
            stretch = int(stretches[begin])
            if stretch > stream.stretch:
                alarm = self._close(name, stream)
                if alarm is not None:
                    alarms.append(alarm)
                stream.stretch, stream.count, stream.total = stretch, 0, 0.0
            stream.count += end - begin
            stream.total += float(values[begin:end].sum())
        return alarms

    def _close(self, name: str, stream: _Stream) -> Alarm | None:
        if not stream.count:
            return None
        before, mean = stream.adwin.mean, stream.total / stream.count
        stream.mean = mean
        at = (stream.stretch + 1) * self._policy.period_ms
        found: list[Detector] = []
        if stream.adwin.update(mean):
            found.append("adwin")
        if stream.page_hinkley.update(mean):
            found.append("page-hinkley")
        if not found or at < stream.quiet_until:
            return None
        stream.quiet_until = at + self._policy.quiet_ms
        return Alarm(name, tuple(found), before, mean, at)
