"""Alerts whose rule is not declared any more: nobody would ever clear them, so the mesh resolves them and says why."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from ingest.backoff import Backoff
from mesh.alerts import Alert, State
from mesh.alerts.lifecycle import MESH
from mesh.errors import NotFound, StoreAway, WrongState
from mesh.stores.alerts import AlertBook, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT

NOTE: Final = "rule '{}' is not in alerts.yaml any more"
_UNRESOLVED: Final[tuple[State, ...]] = ("open", "acknowledged")
_BACKOFF_S: Final = (1.0, 30.0)

logger = logging.getLogger("ray.serve")


@asynccontextmanager
async def resolving_orphans(book: AlertBook, rules: Collection[str]) -> AsyncIterator[None]:
    """Meanwhile, resolve the alerts of all but these rules, once; a store that is away is asked again until the end."""
    task = asyncio.create_task(_until_done(book, frozenset(rules)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def resolve_orphans(book: AlertBook, rules: Collection[str]) -> int:
    """Resolve every alert that is of none of these rules; returns how many were. Raises `StoreAway`.

    Any number of processes may do so at once: each alert is resolved by one of them.
    """
    done = 0
    for state in _UNRESOLVED:
        cursor: str | None = None
        while True:
            page = await book.page(AlertQuery(state=state, limit=MAX_LIMIT, cursor=cursor))
            for alert in page.alerts:
                if alert.opened.rule not in rules:
                    done += await _resolved(book, alert)
            cursor = page.cursor
            if cursor is None:
                break
    return done


async def _resolved(book: AlertBook, alert: Alert) -> bool:
    """False where somebody else was quicker."""
    event = alert.opened
    with contextlib.suppress(NotFound, WrongState):
        await book.act(event.id, "resolve", MESH, time.time_ns() // 1_000_000, NOTE.format(event.rule))
        return True
    return False


async def _until_done(book: AlertBook, rules: Collection[str]) -> None:
    backoff = Backoff(*_BACKOFF_S)
    while True:
        try:
            done = await resolve_orphans(book, rules)
        except StoreAway as error:
            await asyncio.sleep(backoff.delay(error.retry_after_s))
            continue
        except Exception:  # nobody waits for this task
            logger.exception("alerts of rules that are not in alerts.yaml any more stay open")
            return
        if done:
            logger.warning("%d alerts of rules that are not in alerts.yaml any more were resolved", done)
        return
