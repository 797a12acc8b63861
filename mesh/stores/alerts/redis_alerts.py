"""Alerts in Redis, shared by every replica. Each step is one script, so two writers never see half of another's."""

from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec

from mesh.alerts import ACTIONS, Action, Alert, AlertEvent, Policy
from mesh.alerts.digest import opening
from mesh.alerts.lifecycle import MESH
from mesh.errors import NotFound, WrongState
from mesh.stores.alerts.documents import alert_of, change_of_json, event_json, policy_json
from mesh.stores.alerts.query import SCANNED, AlertPage, AlertQuery, Change, checked_cursor
from mesh.stores.alerts.scripts import ACT, FOLLOW, OPEN, PAGE
from mesh.stores.alerts.written import ALONE, UNKNOWN, Outcome, Written, summed
from mesh.stores.redis_client import bounded_client, store_guard

PREFIX: Final = "{hyperstream:alerts}"
ANSWER_S: Final = 5.0
CONNECTIONS: Final = 16

_TOGETHER: Final = 500
"""Events of one pipeline."""


class RedisAlerts:
    """A writer, a book and the changes. Nothing connects before the first call, and a lost connection is made again."""

    def __init__(self, url: str, policy: Policy | None = None, prefix: str = PREFIX) -> None:
        """`prefix` must hold a hash tag in braces where Redis is a cluster. `InvalidConfig` for a URL that is none."""
        self._redis = bounded_client(url, answer_s=ANSWER_S, connections=CONNECTIONS)
        self._prefix = prefix
        self._policy = policy or Policy()
        self._told = policy_json(self._policy)
        self._open, self._follow, self._act, self._page = (
            self._redis.register_script(text) for text in (OPEN, FOLLOW, ACT, PAGE)
        )

    async def write(self, events: Sequence[AlertEvent]) -> Written:
        """As `AlertWriter.write`."""
        outcomes: list[Outcome] = []
        for at in range(0, len(events), _TOGETHER):
            some = events[at : at + _TOGETHER]
            outcomes += [
                Outcome(event, verdict.decode(), bool(fresh), bool(began))
                for event, (verdict, fresh, began) in zip(some, await self._run(some), strict=True)
            ]
        grouped = {one.verdict for one in outcomes} - {ALONE, UNKNOWN}
        digests = {}
        for digest in sorted(grouped):
            fields = await self._ask(self._redis.hgetall(f"{self._prefix}:alert:{digest}"))
            if fields:
                digests[digest] = alert_of(fields, self._policy)
        return summed(outcomes, digests)

    async def budget_left(self, at: int) -> int:
        """As `AlertWriter.budget_left`."""
        budget = self._policy.budget
        spent = await self._ask(self._redis.hget(f"{self._prefix}:budget:{budget.window(at)}", "spent"))
        return max(0, budget.allowance - int(spent or 0))

    async def get(self, alert: str) -> Alert:
        """As `AlertBook.get`."""
        fields = await self._ask(self._redis.hgetall(f"{self._prefix}:alert:{alert}"))
        if not fields:
            raise NotFound(f"there is no alert '{alert[:80]}'; GET /alerts lists those that are kept")
        return alert_of(fields, self._policy)

    async def page(self, query: AlertQuery) -> AlertPage:
        """As `AlertBook.page`."""
        asked = {
            "filters": query.filters,
            "lower": "-" if query.since is None else f"[{max(0, query.since):016d}",
            "upper": "+" if query.cursor is None else f"({checked_cursor(query.cursor)}",
            "limit": query.limit,
            "scan": SCANNED,
        }
        cursor, found = await self._ask(self._page(keys=[self._prefix], args=[msgspec.json.encode(asked)]))
        return AlertPage(
            tuple(alert_of(_fields(one), self._policy) for one in found), cursor.decode() if cursor else None
        )

    async def act(self, alert: str, action: Action, actor: str, at: int, note: str = "") -> Alert:
        """As `AlertBook.act`."""
        step = ACTIONS[action]
        words: list[str | int] = [alert, action, step.ends, actor, at, note, *step.begins]
        said, state, *fields = await self._ask(self._act(keys=[self._prefix], args=words))
        if said == b"missing":
            raise NotFound(f"there is no alert '{alert[:80]}'; GET /alerts lists those that are kept")
        if said == b"wrong":
            raise WrongState(f"alert '{alert}'", state.decode(), action)
        return alert_of(_fields(fields[0]), self._policy)

    async def changes(self) -> AsyncGenerator[Change, None]:
        """As `AlertChanges.changes`."""
        async with _guarded(), self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(f"{self._prefix}:changes")
            while True:
                message = await channel.get_message(timeout=ANSWER_S / 2)
                if message is not None:
                    yield change_of_json(message["data"])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def _run(self, events: Sequence[AlertEvent]) -> list[Any]:
        """The answers of one pipeline of scripts."""
        budget = self._policy.budget
        async with _guarded(), self._redis.pipeline(transaction=False) as pipeline:
            for event in events:
                document = event_json(event)
                if event.kind == "opened":
                    digest = opening(event, budget.window(event.opened_at), 1)
                    words = [document, self._told, event_json(digest).replace(digest.id.encode(), b"%ID%", 1)]
                    await self._open(keys=[self._prefix], args=words, client=pipeline)
                else:
                    await self._follow(
                        keys=[self._prefix], args=[document, self._told, MESH], client=pipeline
                    )
            return list(await pipeline.execute())

    async def _ask(self, answer: Awaitable[Any] | Any) -> Any:
        async with _guarded():
            return await answer


def _guarded() -> AbstractAsyncContextManager[None]:
    return store_guard("the alert store")


def _fields(flat: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """A hash as scripts return it: names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
