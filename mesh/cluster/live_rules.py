"""The rules in one process that answers rows: read at the start, followed while it lives."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ray.exceptions import RayError

from mesh.bounded import within
from mesh.cluster.connect import ConnectedEngine
from mesh.cluster.desk import find_desk
from mesh.errors import MeshError
from mesh.rules.opening import open_rules
from mesh.rules.reading import Reader
from mesh.rules.stores import rules_store
from mesh.rules.values import News, Revision
from mesh.settings import Settings
from mesh.shadows.tally import ShadowTally
from mesh.shadows.values import ShadowNews
from mesh.spec import MeshConfig

WATCH_S: Final = 30.0
TELL_S: Final = 1.0
_FIRST_S: Final = 20.0
_CALL_S: Final = 2.0
_RETRY_S: Final = (0.1, 0.3, 1.0, 2.0)
_GONE: Final = (RayError, TimeoutError, ValueError)
"""ValueError is Ray's word for a named actor that is between two lives."""

logger = logging.getLogger("ray.serve")

OnTaken = Callable[[MeshConfig, Revision], None]


class LiveRules:
    """What this process answers by. `config`, `revision` and `apps` are the newest that it has taken."""

    def __init__(self, folder: Path, settings: Settings, process: str) -> None:
        """`process` is unique to it, such as its replica's id."""
        self.tally = ShadowTally()
        """What the engine tells of shadows; told on once `follow` was called."""
        self.config: MeshConfig
        self.revision: Revision
        self.apps: Mapping[str, str] = {}
        self._reader = Reader(folder, settings)
        self._settings = settings
        self._process = process
        self._desk: Any = None
        self._known = 0
        """The version that the desk gave to begin with."""
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Learn what to begin with: from the desk, or where that does not answer, from what was kept.

        Raises `InvalidConfig`, `StoreAway`.
        """
        try:
            desk = await self._found()
            state = await within(_FIRST_S, desk.state.remote())
            self.revision, self.apps = state.revision, state.apps
        except _GONE as error:
            logger.warning("the desk of rules does not answer, what was kept is taken: %s", error)
            store = rules_store(self._settings, self._reader.folder)
            now_ms = time.time_ns() // 1_000_000
            kept = await asyncio.to_thread(store.load)
            opening = await asyncio.to_thread(open_rules, kept, self._reader, now_ms)
            self.revision, self.config = opening.kept.current, opening.config
            return  # the desk is asked for what it has: what was kept says nothing of applications
        self._known = self.revision.version
        self.config = await asyncio.to_thread(self._reader.config_of, self.revision)

    def follow(self, engine: ConnectedEngine, on_taken: OnTaken | None = None) -> None:
        """Let `engine` take every newer revision; `on_taken` is told after it has."""
        loop = asyncio.get_running_loop()
        work = (self._watch(engine, on_taken or _nothing), self._tell())
        self._tasks = [loop.create_task(each) for each in work]

    async def stop(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._desk is not None:
            try:
                await within(_CALL_S, self._desk.leave.remote(self._process))
            except _GONE as error:
                logger.debug("the desk of rules was not told of the end of %s: %s", self._process, error)

    async def _watch(self, engine: ConnectedEngine, on_taken: OnTaken) -> None:
        failures, known = 0, self._known
        while True:
            try:
                desk = await self._found()
                news = await within(WATCH_S + _CALL_S, desk.watch.remote(self._process, known, WATCH_S))
                if news is not None:
                    await self._take(news, engine, on_taken)
                    known = news.revision.version
                failures = 0
            except Exception as error:
                if not isinstance(error, (*_GONE, MeshError)):
                    logger.exception("version %d of the rules could not be followed", known)
                # Another life of the desk may give the same number to other rules: so it is asked for what it has.
                self._desk, known = None, 0
                failures += 1
                logger.warning("rules %s stand, trying again: %s", self.revision.rules, error)
                await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S)) - 1])

    async def _take(self, news: News, engine: ConnectedEngine, on_taken: OnTaken) -> None:
        if (news.revision, news.apps) == (self.revision, self.apps):
            return
        config = await asyncio.to_thread(self._reader.config_of, news.revision)
        engine.take(config, news.apps)
        on_taken(config, news.revision)
        self.config, self.revision, self.apps = config, news.revision, news.apps

    async def _tell(self) -> None:
        number = 0
        waiting: ShadowNews | None = None
        while True:
            await asyncio.sleep(TELL_S)
            if waiting is None:
                taken = self.tally.take()
                if not taken.counts:
                    continue
                number, waiting = number + 1, taken
            try:
                desk = await self._found()
                await within(_CALL_S, desk.tell_shadows.remote(self._process, number, waiting))
                waiting = None
            except _GONE as error:
                logger.debug("what shadows said is told later: %s", error)
            except Exception:  # whatever it is, rollouts need what shadows say
                logger.exception("what shadows said could not be told, trying again")

    async def _found(self) -> Any:
        if self._desk is None:
            self._desk = await find_desk(self._reader.folder, self._settings)
        return self._desk


def _nothing(_config: MeshConfig, _revision: Revision) -> None:
    """What is told where nobody wants to know."""
