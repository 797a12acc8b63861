"""The desk of rules: a named Ray actor with the book, the watch over the files, and what shadows said. One for a configuration.

Engines long-poll it, and confirm what they have taken by asking for what comes after. Nothing that answers rows waits for it:
while it is away engines go on by what they know, and a new one reads what was kept.
"""

import asyncio
import importlib
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from mesh.bounded import within
from mesh.cluster.actors import end_this_actor, lived_before
from mesh.cluster.scoreboard import Reporter
from mesh.engine.compared import ShadowKey
from mesh.errors import StoreAway
from mesh.rules.book import Book
from mesh.rules.files import POLL_S, FileWatch
from mesh.rules.opening import FILES, open_rules
from mesh.rules.ports import Hosting
from mesh.rules.reading import Reader
from mesh.rules.stores import rules_store
from mesh.rules.taking import take_files
from mesh.rules.values import Accepted, News, Proposal, Refused, RulesState
from mesh.settings import Settings
from mesh.shadows.book import ShadowBook
from mesh.shadows.values import Pairs, ShadowNews, ShadowReport
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

TAKEN_S: Final = 2.0
"""How long an accepted change waits to hear that every engine has taken it."""
IDLE_S: Final = 60.0
_ALIVE_S: Final = 3.0
"""An engine that asks for nothing is taken for gone after so long."""
_LEFT_S: Final = 10.0
"""By then hosting has heard which models serve, and gives those that do the time to finish."""

logger = logging.getLogger("ray.serve")


class ModelApps(Hosting, Protocol):
    """Hosting that says in which Serve application a model is, where that is not the mesh's own."""

    @property
    def apps(self) -> Mapping[str, str]:
        """Application by model."""
        ...


@dataclass(slots=True)
class _Engine:
    known: int
    asked: float
    waiting: int = 0


class RulesDesk:
    """The actor. Everything begins with the first call, so that its failures are told to whoever calls."""

    def __init__(self, config_dir: str, settings: Settings, hosting: str) -> None:
        """`hosting` is `module:name` of what makes a `ModelApps` of `config_dir` and `wanted(model) -> bool`."""
        self._reader = Reader(Path(config_dir), settings)
        self._store = rules_store(settings, Path(config_dir))
        self._settings = settings
        self._hosting_path = hosting
        self._hosting: ModelApps
        self._book: Book | None = None
        self._beginning = asyncio.Lock()
        self._engines: dict[str, _Engine] = {}
        self._confirmed = asyncio.Event()
        self._shadows = ShadowBook()
        self._recorder = Recorder()
        self._reporter = Reporter("rules", f"rules-{uuid.uuid4().hex}", self._recorder, settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._used = time.monotonic()

    async def state(self) -> RulesState:
        """What is so now."""
        book = await self._begun()
        engines, taken = self._counts(book.kept.current.version)
        now, apps = book.kept, dict(self._hosting.apps)
        return RulesState(now.current, now.earlier, book.refused, engines, taken, apps)

    async def propose(self, table: Proposal, expected_version: int | None, actor: str) -> Accepted | Refused:
        """See `RuleBook`; returns when every engine has taken the change, or after `TAKEN_S`."""
        book = await self._begun()
        result = await book.propose(table, expected_version, actor)
        self._count(table.source, result)
        return result if isinstance(result, Refused) else await self._spread(result)

    async def watch(self, engine: str, known: int, timeout_s: float) -> News | None:
        """The newest revision once it is not `known`, which the engine answers by now; None after `timeout_s`."""
        book = await self._begun()
        held = self._engines.setdefault(engine, _Engine(known, 0.0))
        held.known = known
        held.waiting += 1
        self._confirm()
        try:
            if book.kept.current.version == known:
                try:
                    await within(timeout_s, book.changed.wait())
                except TimeoutError:
                    return None
            return News(book.kept.current, dict(self._hosting.apps))
        finally:
            held.waiting -= 1
            held.asked = self._used = time.monotonic()

    async def leave(self, engine: str) -> None:
        """The engine answers no more."""
        self._engines.pop(engine, None)
        self._confirm()

    async def tell_shadows(self, process: str, number: int, news: ShadowNews) -> None:
        """What shadows said in one process; see `ShadowBook.take`."""
        self._shadows.take(process, number, news)

    async def shadow_reports(self) -> tuple[ShadowReport, ...]:
        """See `ShadowFeed`."""
        return self._shadows.reports()

    async def shadow_pairs(self, key: ShadowKey, after: int) -> Pairs:
        """See `ShadowFeed`."""
        return self._shadows.pairs(key, after)

    # -- beginning

    async def _begun(self) -> Book:
        self._used = time.monotonic()
        async with self._beginning:
            if self._book is None:
                self._book = await self._begin()
            return self._book

    async def _begin(self) -> Book:
        kept = await asyncio.to_thread(self._store.load)
        now_ms, running = time.time_ns() // 1_000_000, lived_before()
        opening = await asyncio.to_thread(open_rules, kept, self._reader, now_ms, running=running)
        if opening.news:
            try:
                await asyncio.to_thread(self._store.save, opening.kept)
            except StoreAway as error:
                logger.warning("the rules are not kept over a restart: %s", error)
        # Only here: who has a handle of this actor has its class imported by Ray, and few of them know SQLAlchemy.
        from mesh.records.opened import records_of  # noqa: PLC0415
        from mesh.records.room_audits import RoomAudit  # noqa: PLC0415

        records = records_of(self._settings, self._reader.folder.resolve().parent)
        self._hosting = await _loaded(self._hosting_path)(str(self._reader.folder), self._wanted)
        self._reporter.start()
        book = Book(opening, self._reader, self._store, self._hosting, RoomAudit(records.ledger))
        self._start(self._watch_files(book))
        self._start(self._drop_left(book))
        self._start(self._end_when_idle())
        return book

    def _wanted(self, model: str) -> bool:
        return self._book is not None and model in self._book.config.models

    async def _drop_left(self, book: Book) -> None:
        """Models that an earlier life was to drop when it ended: nobody else would give their place back."""
        await asyncio.sleep(_LEFT_S)
        for model in sorted(self._hosting.apps.keys() - book.config.models.keys()):
            await self._hosting.drop(model)

    # -- files

    async def _watch_files(self, book: Book) -> None:
        watch = FileWatch(self._reader.folder, dict(book.kept.seen))
        while True:
            await asyncio.sleep(POLL_S)
            try:
                if await asyncio.to_thread(watch.stirred):
                    await self._read_files(book, watch)
            except Exception:  # whatever it is, the rules stand and the watch goes on
                logger.exception("the files in %s could not be taken", self._reader.folder)

    async def _read_files(self, book: Book, watch: FileWatch) -> None:
        result = await take_files(book, self._reader, watch)
        if result is None:
            return
        self._count(FILES, result)
        if isinstance(result, Refused):
            return
        spread = await self._spread(result)
        revision = spread.revision
        logger.warning(
            "rules %s, version %d, are taken from the files by %d of %d engines",
            revision.rules, revision.version, spread.taken, spread.engines,
        )  # fmt: skip

    def _count(self, source: str, result: Accepted | Refused) -> None:
        outcome = result.reason if isinstance(result, Refused) else "changed" if result.changed else "same"
        self._recorder.count(names.RULES_CHANGES, 1, (source, outcome))

    # -- engines

    async def _spread(self, accepted: Accepted) -> Accepted:
        version, give_up = accepted.revision.version, time.monotonic() + TAKEN_S
        while True:
            engines, taken = self._counts(version)
            left = give_up - time.monotonic()
            if taken == engines or left <= 0:
                return Accepted(accepted.revision, accepted.changed, engines, taken)
            confirmed = self._confirmed
            try:
                await within(left, confirmed.wait())
            except TimeoutError:
                continue

    def _counts(self, version: int) -> tuple[int, int]:
        now = time.monotonic()
        self._engines = {
            name: each for name, each in self._engines.items() if each.waiting or now - each.asked < _ALIVE_S
        }
        return len(self._engines), sum(each.known >= version for each in self._engines.values())

    def _confirm(self) -> None:
        self._confirmed.set()
        self._confirmed = asyncio.Event()

    # -- the end

    async def _end_when_idle(self) -> None:
        while any(each.waiting for each in self._engines.values()) or time.monotonic() < self._used + IDLE_S:  # noqa: ASYNC110 - rare
            await asyncio.sleep(IDLE_S / 4)
        end_this_actor()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _loaded(path: str) -> Any:
    """What `module:name` names. Loaded by name, as Ray loads its policies: `mesh` may not import what hosts models."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)
