"""One reader of the log for all subscribers of this process. It reads while somebody listens, and each entry once.

A subscriber that resumes reads the log itself up to where the one reader is, and joins it there: nothing is left out and
nothing comes twice. A Redis that goes away is waited for; the log says what came meanwhile.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from mesh.errors import StoreAway
from mesh.stores.predictions import BEGINNING, Entry, LogTail, Prediction, PredictionLog
from mesh.stores.predictions.entry import place
from serve.graphql.inbox import Inbox
from serve.graphql.refusals import LogTrimmed, SlowReader
from serve.graphql.resume import cursor_of

PAGE: Final = 500
"""Entries of one read by a subscriber that catches up."""
_RETRY_S: Final = (0.1, 2.0)

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A prediction and its cursor. Compares by identity: all its subscribers share one."""

    cursor: str
    prediction: Prediction


@dataclass(slots=True, eq=False)
class _Subscriber:
    inbox: Inbox[Placed]
    model_id: str
    after: tuple[int, int]
    gave: str | None = None


@dataclass(slots=True)
class _Reading:
    """The one reader: where it is, and for whom."""

    cursor: str
    task: asyncio.Task[None] | None = None
    wanted: int = 0
    """Subscriptions that are open, those that still catch up among them."""
    by_model: dict[str, set[_Subscriber]] = field(default_factory=lambda: defaultdict(set))


class PredictionFeed:
    """Predictions as they come, by endpoint. Belongs to one event loop."""

    def __init__(self, log: PredictionLog, tail: LogTail, waiting: int) -> None:
        """`waiting` predictions may wait for one subscriber."""
        self._log, self._tail, self._size = log, tail, waiting
        self._reading = _Reading(BEGINNING)
        self._starting = asyncio.Lock()
        self._searching = asyncio.Semaphore(1)

    @property
    def listeners(self) -> int:
        """Subscriptions that are given what comes from now on."""
        return sum(len(subscribers) for subscribers in self._reading.by_model.values())

    async def follow(self, model_id: str, after: str | None = None) -> AsyncGenerator[Placed, None]:
        """Predictions of one endpoint: from now on, or after a cursor or an inference's id.

        Raises `InvalidInput` and `LogTrimmed` for an `after` that cannot be resumed from, `SlowReader`, and `StoreAway` where
        Redis does not answer at the start.
        """
        reading = self._reading
        reading.wanted += 1
        subscriber: _Subscriber | None = None
        try:
            await self._start()
            last = reading.cursor
            if after is not None:
                async with self._searching:
                    last = await cursor_of(self._log, after)
                while place(last) < place(reading.cursor) or self._stopped:
                    # No await between the check above and joining below: the reader cannot move in between.
                    # One that failed meanwhile has told those who had joined it, and not whoever catches up.
                    await self._start()
                    target = reading.cursor
                    found = await self._log.after(last, PAGE, target)
                    if found.trimmed:
                        raise LogTrimmed(last)
                    for entry in found.entries:
                        placed = _placed(entry, model_id)
                        if placed is not None:
                            yield placed
                    last = found.entries[-1].cursor if len(found.entries) == PAGE else target
            subscriber = _Subscriber(Inbox(self._size), model_id, place(last))
            reading.by_model[model_id].add(subscriber)
            async with aclosing(subscriber.inbox.items()) as items:
                async for placed in items:
                    subscriber.gave = placed.cursor
                    yield placed
            raise SlowReader(self._size, subscriber.gave)
        finally:
            reading.wanted -= 1
            if subscriber is not None:
                reading.by_model[model_id].discard(subscriber)
                if not reading.by_model[model_id]:
                    del reading.by_model[model_id]

    async def close(self) -> None:
        """Read no more."""
        task = self._reading.task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def _stopped(self) -> bool:
        task = self._reading.task
        return task is None or task.done()

    async def _start(self) -> None:
        """See that the reader runs; it begins with what comes now."""
        reading = self._reading
        async with self._starting:
            if self._stopped:
                reading.cursor = await self._log.newest()
                reading.task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            await self._read_on()
        except Exception as error:
            logger.exception("the log cannot be read")
            self._fail_all(StoreAway("the log of predictions", f"{type(error).__name__}: {error}"))

    async def _read_on(self) -> None:
        reading, wait = self._reading, _RETRY_S[0]
        while reading.wanted:
            try:
                found = await self._tail.read(reading.cursor)
            except StoreAway as error:
                if wait == _RETRY_S[0]:
                    logger.warning("subscribers wait: %s", error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _RETRY_S[1])
                continue
            wait = _RETRY_S[0]
            if found.trimmed:
                self._tell_of_gap()
            for entry in found.entries:
                self._hand_out(entry)

    def _hand_out(self, entry: Entry) -> None:
        reading = self._reading
        reading.cursor = entry.cursor
        model_id = entry.model_id()
        subscribers = None if model_id is None else reading.by_model.get(model_id)
        if not subscribers:
            return
        prediction = entry.prediction()
        if prediction is None:
            logger.warning("entry %s of the log is no prediction: left out", entry.cursor)
            return
        placed, at = Placed(entry.cursor, prediction), place(entry.cursor)
        for subscriber in subscribers:
            if subscriber.after < at:
                subscriber.inbox.put(placed)

    def _tell_of_gap(self) -> None:
        """The log was trimmed faster than it was read here: nobody knows whose predictions were among what is gone."""
        for subscribers in self._reading.by_model.values():
            for subscriber in subscribers:
                subscriber.inbox.fail(LogTrimmed(subscriber.gave or self._reading.cursor))

    def _fail_all(self, error: StoreAway) -> None:
        for subscribers in self._reading.by_model.values():
            for subscriber in subscribers:
                subscriber.inbox.fail(error)


def _placed(entry: Entry, model_id: str) -> Placed | None:
    if entry.model_id() != model_id:
        return None
    prediction = entry.prediction()
    return None if prediction is None else Placed(entry.cursor, prediction)
