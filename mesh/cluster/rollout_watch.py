"""An engine's observer that also watches rollouts, and tells the controller what it saw once a second."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import Final, Protocol

from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.ports import CallOutcome, Observer, ShadowOutcome
from mesh.errors import MeshError
from mesh.rollouts.plan import Plan
from mesh.rollouts.ports import RolloutBook
from mesh.rollouts.tally import Observations
from mesh.rollouts.watching import Watch
from mesh.routing.types import Answer
from mesh.settings import Settings
from mesh.stores.rollouts import RedisFeed, RedisRollouts

TELL_S: Final = 1.0
_AWAY_S: Final = 5.0
_WATCHED: Final = frozenset({"Pending", "Shadowing", "Progressing", "Paused"})

logger = logging.getLogger("ray.serve")


def rollout_watch(observer: Observer, settings: Settings, parts: AsyncExitStack) -> "RolloutWatch":
    """An observer that is at work already; `parts` ends it."""
    book, sink = RedisRollouts(settings.redis_url), RedisFeed(settings.redis_url)
    watch = RolloutWatch(observer, book, sink)
    watch.start()
    for end in (book.close, sink.close, watch.stop):  # the last is ended first
        parts.push_async_callback(end)
    return watch


class ObservationSink(Protocol):
    """Where observations go."""

    async def write(self, plan: Plan, seen: Observations) -> None:
        """Append what was seen; raises `StoreAway`."""
        ...


class RolloutWatch:
    """Passes everything on to `observer`, and counts what rollouts need. `start` it on the engine's loop."""

    def __init__(
        self, observer: Observer, book: RolloutBook, sink: ObservationSink, tell_s: float = TELL_S
    ) -> None:
        """`book` says what to watch; it is read, and `sink` told, every `tell_s` seconds."""
        self._tell_s = tell_s
        self._observer, self._book, self._sink = observer, book, sink
        self._watch = Watch()
        self._plans: dict[str, Plan] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch and to tell."""
        self._task = asyncio.get_running_loop().create_task(self._tell())

    async def stop(self) -> None:
        """Tell no more; what was not told yet is lost, a second's worth."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def answered(self, endpoint: str, answer: Answer, seconds: float) -> None:
        """As `Observer.answered`."""
        self._observer.answered(endpoint, answer, seconds)
        if self._watch.watching:
            self._watch.answered(endpoint, answer)

    def called(self, model: str, version: str, outcome: CallOutcome, rows: int, seconds: float) -> None:
        """As `Observer.called`."""
        self._observer.called(model, version, outcome, rows, seconds)
        if self._watch.watching:
            self._watch.called(model, outcome == "answered", seconds)

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """As `Observer.shadowed`."""
        self._observer.shadowed(model, outcome, rows, what)
        if self._watch.watching and isinstance(what, Compared):
            self._watch.compared(what, time.time_ns() // 1_000_000)

    async def _tell(self) -> None:
        away = False
        while True:
            await asyncio.sleep(_AWAY_S if away else self._tell_s)
            try:
                await self._follow()
                for name, seen in self._watch.take().items():
                    await self._sink.write(self._plans[name], seen)
                away = False
            except MeshError as error:
                # What was taken is lost: evidence that is missing is inconclusive, which is the safe side.
                logger.log(logging.DEBUG if away else logging.WARNING, "rollouts are not told of: %s", error)
                away = True
            except Exception:  # whatever it is, rollouts need evidence for as long as rows are answered
                logger.exception("rollouts could not be told of")
                away = True

    async def _follow(self) -> None:
        rollouts = await self._book.all()
        plans = [one.plan for one in rollouts if one.state in _WATCHED]
        self._plans = {plan.name: plan for plan in plans}
        self._watch.follow(plans)
