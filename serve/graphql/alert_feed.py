"""One follower of the alerts' changes for all subscribers of this process; each changed alert is read once.

Changes are told at most once, so a follower that lost Redis ends its subscriptions: clients read `GET /alerts` and subscribe
again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from mesh.alerts import Alert, Severity
from mesh.errors import NotFound, StoreAway
from mesh.stores.alerts import AlertBook, AlertChanges
from mesh.stores.alerts.query import Change, ChangeKind
from serve.graphql.inbox import Inbox
from serve.graphql.refusals import SlowReader

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Changed:
    """What happened, and the alert as it is after that."""

    change: ChangeKind
    alert: Alert


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters, all of which must fit; None fits everything."""

    severity: Severity | None = None
    asset: str | None = None
    rule: str | None = None

    def fits(self, alert: Alert) -> bool:
        """The alert is one of those."""
        opened = alert.opened
        return (
            self.severity in (None, opened.severity)
            and self.asset in (None, opened.asset)
            and self.rule in (None, opened.rule)
        )


class AlertFeed:
    """Alerts as they change. Belongs to one event loop."""

    def __init__(self, changes: AlertChanges, book: AlertBook, waiting: int) -> None:
        """`waiting` changes may wait for one subscriber."""
        self._changes, self._book, self._size = changes, book, waiting
        self._inboxes: dict[Inbox[Changed], Wanted] = {}
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def follow(self, wanted: Wanted) -> AsyncGenerator[Changed, None]:
        """Changes from now on. Raises `SlowReader`, and `StoreAway` when Redis is lost."""
        inbox: Inbox[Changed] = Inbox(self._size)
        self._inboxes[inbox] = wanted
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._run())
            async with aclosing(inbox.items()) as items:
                async for changed in items:
                    yield changed
            raise SlowReader(self._size)
        finally:
            del self._inboxes[inbox]
            if not self._inboxes:
                self._end()

    async def close(self) -> None:
        """Follow no more."""
        self._end()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self) -> None:
        """Let the follower go; whoever comes next gets one of their own."""
        task, self._task = self._task, None
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _run(self) -> None:
        try:
            async with aclosing(self._changes.changes()) as changes:
                async for change in changes:
                    await self._hand_out(change)
        except StoreAway as error:
            self._fail(error)
        except Exception as error:
            logger.exception("alerts cannot be followed")
            self._fail(StoreAway("the alert store", f"{type(error).__name__}: {error}"))

    async def _hand_out(self, change: Change) -> None:
        try:
            changed = Changed(change.kind, await self._book.get(change.id))
        except NotFound:  # forgotten already
            return
        for inbox, wanted in self._inboxes.items():
            if wanted.fits(changed.alert):
                inbox.put(changed)

    def _fail(self, error: StoreAway) -> None:
        for inbox in self._inboxes:
            inbox.fail(error)
