"""Candidates on their way out of the process that found them: held until shadows have spoken, then offered. Never waits.

A shadow scores its rows after they were answered, so what it says of a candidate comes a moment later; it is joined to the
candidate here, while it waits. Whatever else shadows say is not looked at.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mesh.errors import MeshError
from mesh.review.ports import CandidateSink
from mesh.review.values import Candidate
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

WAITING: Final = 1_000
FLUSH_S: Final = 0.5
HELD_S: Final = 2.0
"""How long a candidate waits for shadows."""
TELL_S: Final = 60.0
RECENT: Final = 64
"""Comparisons that are remembered: of a fast shadow they come before the row is known to be a candidate."""

Voices = Sequence[tuple[str, np.ndarray]]
"""Models with their scores of the same rows, float64 [n], NaN for none."""


@dataclass(slots=True)
class _Held:
    """A candidate, the id by which the engine knows its row, and until when it waits."""

    candidate: Candidate
    row: str
    until: float
    heard: bool = False


class Offering:
    """Owns a task from `start` to `stop`. Lives on one event loop."""

    def __init__(
        self,
        sink: CandidateSink,
        recorder: Recorder | None = None,
        held_s: float = HELD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Counts go to `recorder`, where there is one."""
        self._sink, self._recorder, self._held_s, self._clock = sink, recorder, held_s, clock
        self._waiting: deque[_Held] = deque(maxlen=WAITING)
        self._by_row: dict[str, list[_Held]] = {}
        self._recent: deque[tuple[Sequence[str], Voices]] = deque(maxlen=RECENT)
        self._dropped = 0
        self._told_at = -TELL_S
        self._task: asyncio.Task[None] | None = None
        self._ticks: list[Callable[[int], None]] = []

    def start(self) -> None:
        """Begin to offer, on the loop that runs."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Offer what waits, once, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(MeshError):
            await self.flush(whole=True)

    def at_each_flush(self, tick: Callable[[int], None]) -> None:
        """Call `tick` with the clock's time in milliseconds, twice a second."""
        self._ticks.append(tick)

    def put(self, candidate: Candidate, row: str) -> None:
        """Hold a candidate; `row` is the id of its row in the batch that was scored. The oldest make room.

        An alert comes to the queue by the alert store: it is offered only where a shadow has something to add.
        """
        if len(self._waiting) == WAITING:
            self._dropped += 1
            self._forget(self._waiting[0])
            self._count(self._waiting[0].candidate, "dropped")
        held = _Held(candidate, row, self._clock() + self._held_s)
        self._waiting.append(held)
        self._by_row.setdefault(row, []).append(held)
        for rows, voices in self._recent:
            if row in rows:
                _join(held, rows.index(row), voices)

    def heard(self, rows: Sequence[str], voices: Voices) -> None:
        """A shadow and its primary have scored these rows. Where no candidate waits it is only noted."""
        self._recent.append((rows, voices))
        if self._by_row:
            for row in self._by_row.keys() & set(rows):
                for held in self._by_row[row]:
                    _join(held, rows.index(row), voices)

    async def flush(self, *, whole: bool = False) -> None:
        """Offer those that have waited long enough; all of them with `whole`. Raises `StoreAway`, and keeps them.

        It keeps them where it is cancelled too: what is offered twice counts once.
        """
        if self._dropped:
            logger.warning("%d rows were not offered for review: too many waited", self._dropped)
            self._dropped = 0
        now, ready = self._clock(), []
        while self._waiting and (whole or self._waiting[0].until <= now):
            ready.append(self._waiting.popleft())
        for held in ready:
            self._forget(held)
        wanted = [held for held in ready if held.heard or held.candidate.source != "alert"]
        try:
            if wanted:
                await self._sink.offer([held.candidate for held in wanted])
        except (MeshError, asyncio.CancelledError):
            room = WAITING - len(self._waiting)
            for held in reversed(ready[max(0, len(ready) - room) :]):
                self._waiting.appendleft(held)
                self._by_row.setdefault(held.row, []).append(held)
            raise
        for held in wanted:
            self._count(held.candidate, "offered")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                for tick in self._ticks:
                    tick(time.time_ns() // 1_000_000)
                await self.flush()
            except MeshError as error:
                logger.warning("%d rows wait to be offered for review: %s", len(self._waiting), error)
            except Exception:  # what cannot be offered is lost, and the next is tried
                logger.exception("rows were not offered for review")

    def failed(self) -> None:
        """An error is being handled by whoever looks at rows: tell of it, once a minute, and go on."""
        now = self._clock()
        if now - self._told_at >= TELL_S:
            self._told_at = now
            logger.exception("rows were not looked at for review")

    def _forget(self, held: _Held) -> None:
        left = [one for one in self._by_row.get(held.row, ()) if one is not held]
        if left:
            self._by_row[held.row] = left
        else:
            self._by_row.pop(held.row, None)

    def _count(self, candidate: Candidate, outcome: str) -> None:
        if self._recorder is not None:
            self._recorder.count(names.REVIEW_OFFERED, 1, (candidate.source, outcome))


def _join(held: _Held, at: int, voices: Voices) -> None:
    """Add what was said of the row at `at`."""
    said = {model: float(scores[at]) for model, scores in voices if np.isfinite(scores[at])}
    prediction = held.candidate.prediction
    told = replace(prediction, voices={**prediction.voices, **said})
    held.candidate = replace(held.candidate, prediction=told)
    held.heard = held.heard or len(told.voices) > 1
