"""The numbers of all processes as one. Pure: time is an argument, and how snapshots travel is not known here.

A silent process keeps its counters and histograms in the totals, because what it counted happened; its gauges
go, because they are no longer so. Should it come back, its newer snapshot takes the old one's place: nothing
counts twice.

After a restart of whoever holds the totals, processes come with all that they counted before. None of that happened just now,
and until all have come the sums are too small: a reader would see them fall, and then grow by everything at once.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from mesh.telemetry.change import Instant
from mesh.telemetry.exposition import exposition
from mesh.telemetry.limit import limited
from mesh.telemetry.merge import CounterSums, HistogramSums, merge_gauges, sum_counters, sum_histograms
from mesh.telemetry.snapshot import Snapshot
from mesh.telemetry.summarise import summarise
from mesh.telemetry.summary import Summary

DEAD_AFTER_S: Final = 10.0
MAX_DEAD: Final = 256
"""Dead processes that are remembered one by one; the oldest beyond that are added up, to bound memory."""

SETTLE_S: Final = 8.0
"""After a restart, how long until all living processes have told again: they try every 5 s, for 2 s."""
_BEGINNING: Final = 5
"""Snapshots that a process may have made in vain when everything begins."""

HISTORY_S: Final = 15.0
HISTORY_STEP_S: Final = 0.5


@dataclass(slots=True)
class _Process:
    snapshot: Snapshot
    seen: float
    ended: bool = False


class Totals:
    """Merges snapshots. `now` is seconds on any one clock that does not go back."""

    def __init__(self, dead_after_s: float = DEAD_AFTER_S) -> None:
        self._dead_after_s = dead_after_s
        self._processes: dict[tuple[str, str], _Process] = {}
        self._past = Snapshot("past", 0, {}, {}, {})
        self._history: deque[Instant] = deque()
        self._now = 0.0
        self._whole_at = 0.0

    def whole(self, now: float) -> bool:
        """All living processes have had the time to tell."""
        return now >= self._whole_at

    def take(self, process_id: str, snapshot: Snapshot, now: float) -> None:
        """Note `snapshot` as the newest of `process_id`; one that is older than the known one is ignored."""
        self._now = max(self._now, now)
        key = (process_id, snapshot.recorder)
        known = self._processes.get(key)
        if known is None:
            self._arrive(snapshot, now)
            self._processes[key] = _Process(snapshot, now)
            self._end_others(key)
            self._compact()
        elif snapshot.sequence >= known.snapshot.sequence:
            known.snapshot, known.seen, known.ended = snapshot, now, False
        if not self._history or now - self._history[-1].at >= HISTORY_STEP_S:
            self._history.append(self._instant(now))
        while now - self._history[0].at > HISTORY_S:
            self._history.popleft()

    def _arrive(self, snapshot: Snapshot, now: float) -> None:
        """A process is heard of for the first time, though perhaps not by whoever was here before."""
        if snapshot.sequence > 1:
            self._history.clear()  # rates begin anew with what it brings
        if snapshot.sequence > _BEGINNING and not self._processes:
            self._whole_at = now + SETTLE_S

    def end(self, process_id: str) -> None:
        """`process_id` said goodbye: its gauges go at once."""
        for key, process in self._processes.items():
            if key[0] == process_id:
                process.ended = True

    def exposition(self, now: float | None = None) -> bytes:
        """Prometheus text format, version 0.0.4. `now` defaults to the time of the newest snapshot."""
        snapshots = self._all()
        return exposition(
            limited(sum_counters(snapshots)),
            limited(self._gauges(self._at(now))),
            limited(sum_histograms(snapshots)),
        )

    def summary(self, now: float | None = None, window_s: float = 5.0) -> Summary:
        """What the live view shows: totals, and rates and quantiles over the last `window_s` s (<= 15)."""
        instant = self._instant(self._at(now))
        before = next(
            (old for old in reversed(self._history) if instant.at - old.at >= window_s),
            self._history[0] if self._history else instant,
        )
        return summarise(before, instant)

    def _at(self, now: float | None) -> float:
        return self._now if now is None else now

    def _all(self) -> list[Snapshot]:
        return [self._past, *(process.snapshot for process in self._processes.values())]

    def _gauges(self, now: float) -> CounterSums:
        return merge_gauges(
            process.snapshot for process in self._processes.values() if self._lives(process, now)
        )

    def _lives(self, process: _Process, now: float) -> bool:
        return not process.ended and now - process.seen <= self._dead_after_s

    def _instant(self, now: float) -> Instant:
        snapshots = self._all()
        histograms: HistogramSums = sum_histograms(snapshots)
        return Instant(now, sum_counters(snapshots), self._gauges(now), histograms)

    def _end_others(self, newest: tuple[str, str]) -> None:
        """A new recorder under a known process id means that the old one is gone."""
        for key, process in self._processes.items():
            if key[0] == newest[0] and key != newest:
                process.ended = True

    def _compact(self) -> None:
        dead = [key for key, process in self._processes.items() if not self._lives(process, self._now)]
        for key in sorted(dead, key=lambda one: self._processes[one].seen)[: max(0, len(dead) - MAX_DEAD)]:
            parts = [self._past, self._processes.pop(key).snapshot]
            self._past = Snapshot("past", 0, sum_counters(parts), {}, sum_histograms(parts))
