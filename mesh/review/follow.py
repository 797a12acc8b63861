"""Keeps the queue in step with alerts and with the rows that the stream offers. Every replica may run one: repeats are safe."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from mesh.alerts import Alert
from mesh.errors import MeshError, NotFound
from mesh.records.transactions import Transactions
from mesh.review.from_alerts import AlertReading, times_of
from mesh.review.intake import TOGETHER, AlertTimes, Intake
from mesh.review.ports import CandidateSource
from mesh.review.rules import now_ms
from mesh.review.values import Candidate
from mesh.stores.alerts import AlertBook, AlertChanges, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT
from mesh.stores.online import OnlineStore
from mesh.stores.views import FeatureView

logger = logging.getLogger(__name__)

GATHER_S: Final = 0.1
"""Changes that come within it are handled together."""
LOOK_S: Final = 5.0
"""How often the newest page is read though nothing was told: changes are told at most once."""
WHOLE_S: Final = 300.0
"""How often the whole store is read: alerts of a stream that is behind open in the past."""
_REMEMBERED: Final = 50_000
_TOUCHED: Final = 10_000
_AGAIN_S: Final = 1.0
_COMPLAIN_S: Final = 30.0

Result = TypeVar("Result")
Features = tuple[FeatureView, OnlineStore]


class ReviewFollower:
    """Owns three tasks from `start` to `stop`: it listens to changes, reads alerts, and takes candidates."""

    def __init__(
        self,
        transactions: Transactions,
        intake: Intake,
        book: AlertBook,
        changes: AlertChanges,
        reading: AlertReading,
        source: CandidateSource,
        features: Features | None = None,
    ) -> None:
        """`features` is where the newest row of an asset is."""
        self._transactions, self._intake = transactions, intake
        self._book, self._changes, self._reading, self._source = book, changes, reading, source
        self._features = features
        self._known: dict[str, AlertTimes] = {}
        self._touched: dict[str, None] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._whole_at = 0.0
        self._complained = -_COMPLAIN_S

    def start(self) -> None:
        """Begin, on the loop that runs."""
        self._tasks = [
            asyncio.create_task(self._for_ever(work)) for work in (self._listen, self._read, self._take)
        ]

    async def stop(self) -> None:
        """End the tasks; what they had not finished is done by whoever starts next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Whatever does not answer is asked again."""
        while True:
            try:
                await work()
            except MeshError as error:
                self._complain(error)
                await asyncio.sleep(_AGAIN_S)
            except Exception:
                logger.exception("the review queue goes on without a part of its news")
                await asyncio.sleep(_AGAIN_S)

    async def _listen(self) -> None:
        async for change in self._changes.changes():
            if change.kind in ("acknowledge", "resolve", "cleared") and len(self._touched) < _TOUCHED:
                self._touched[change.id] = None
            if change.kind != "updated":
                self._news.set()

    async def _read(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._news.wait()
                await asyncio.sleep(GATHER_S)
        self._news.clear()
        whole = time.monotonic() - self._whole_at >= WHOLE_S or not self._whole_at
        await self._pages(whole=whole)
        if whole:
            self._whole_at = time.monotonic()
        await self._touch()

    async def _pages(self, *, whole: bool) -> None:
        """Alerts from the newest on, until a page holds no new one; a change that nobody told of is found here too."""
        cursor: str | None = None
        while True:
            page = await self._book.page(AlertQuery(limit=MAX_LIMIT, cursor=cursor))
            fresh = [alert for alert in page.alerts if alert.id not in self._known]
            await self._add(fresh)
            await self._note([times_of(alert) for alert in page.alerts])
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
            cursor = page.cursor
            if cursor is None or not (fresh or whole):
                return

    async def _add(self, alerts: Sequence[Alert]) -> None:
        rows = {}
        if self._features is not None and alerts:
            view, store = self._features
            assets = sorted({alert.opened.asset for alert in alerts})
            try:
                found = await store.read(view, assets)
                rows = {
                    row.entity: row for row in found if row is not None and row.transform == view.transform
                }
            except MeshError as error:
                self._complain(error)  # the item is worth having without its features
        made = [self._reading.candidate(alert, rows.get(alert.opened.asset)) for alert in alerts]
        await self._keep([one for one in made if one is not None])

    async def _note(self, seen: Sequence[AlertTimes]) -> None:
        """Write the times that are others than those known, and know them."""
        times = [one for one in seen if one != self._known.get(one.alert, AlertTimes(one.alert))]
        if times:
            await self._write(lambda session: self._intake.alerts(session, times))
        self._known.update({one.alert: one for one in seen})

    async def _touch(self) -> None:
        """What became of alerts that people, or the mesh, have acted on."""
        while self._touched:
            some = list(self._touched)[:TOGETHER]
            for alert in some:
                del self._touched[alert]  # before it is read: what is told of it from here on is news
            try:
                times = []
                for alert in some:
                    with suppress(NotFound):
                        times.append(times_of(await self._book.get(alert)))
                await self._write(lambda session, times=times: self._intake.alerts(session, times))  # type: ignore[misc]
            except MeshError:
                self._touched |= dict.fromkeys(some)
                raise

    async def _take(self) -> None:
        found = await self._source.take(TOGETHER, LOOK_S / 2)
        await self._keep([one for _, one in found])
        await self._source.done([ticket for ticket, _ in found])

    async def _keep(self, candidates: Sequence[Candidate]) -> None:
        for at in range(0, len(candidates), TOGETHER):
            some = candidates[at : at + TOGETHER]
            try:
                await self._add_items(some)
            except MeshError:
                raise
            except Exception:  # noqa: BLE001 - whichever of them it is, it is named one by one
                await self._keep_each(some)

    async def _keep_each(self, candidates: Sequence[Candidate]) -> None:
        """One that the database refuses for what it is keeps none of the others waiting."""
        for one in candidates:
            try:
                await self._add_items([one])
            except MeshError:
                raise
            except Exception:
                logger.exception("a row of '%s' cannot be kept, and nobody is asked about it", one.asset)

    async def _add_items(self, candidates: Sequence[Candidate]) -> None:
        await self._write(lambda session: self._intake.add(session, candidates, now_ms()))

    async def _write(self, work: Callable[[Session], Result]) -> Result:
        return await self._transactions.write(work)

    def _complain(self, error: MeshError) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_S:
            self._complained = now
            logger.warning("the review queue is behind, and tries again: %s", error)
