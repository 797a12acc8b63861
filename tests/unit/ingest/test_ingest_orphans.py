"""Alerts of rules that are not declared any more are resolved, all of them and no others, also where the store was away."""

import asyncio

from ingest.telemetry import orphans
from ingest.telemetry.orphans import resolve_orphans, resolving_orphans
from mesh.alerts import Budget, Policy
from mesh.errors import StoreAway
from mesh.stores.alerts import AlertQuery, MemoryAlerts
from tests.fakes.alert_events import BEGAN, opened

MANY = 450


async def a_store() -> MemoryAlerts:
    """More than two pages of alerts of a rule that is gone, of which people took two in hand, and one of a rule that stands."""
    store = MemoryAlerts(Policy(budget=Budget(per_ms=600_000, alerts=10_000)))
    await store.write([opened(n, rule="gone", at=n) for n in range(MANY)])
    await store.write([opened(MANY, rule="hot", at=MANY)])
    await store.act(opened(0, rule="gone").id, "acknowledge", "ann", BEGAN)
    await store.act(opened(1, rule="gone").id, "resolve", "ann", BEGAN)
    return store


async def unresolved(store: MemoryAlerts) -> list[str]:
    pages = [await store.page(AlertQuery(state=state, limit=200)) for state in ("open", "acknowledged")]
    return [alert.opened.rule for page in pages for alert in page.alerts]


async def test_every_alert_of_a_rule_that_is_gone_is_resolved_with_the_reason():
    store = await a_store()
    assert await resolve_orphans(store, {"hot"}) == MANY - 1
    assert await unresolved(store) == ["hot"]
    mark = (await store.get(opened(0, rule="gone").id)).resolved
    assert (mark.actor, mark.note) == ("mesh", "rule 'gone' is not in alerts.yaml any more")
    assert (await store.get(opened(1, rule="gone").id)).resolved.actor == "ann"
    assert await resolve_orphans(store, {"hot"}) == 0


async def test_a_store_that_is_away_is_asked_again(monkeypatch):
    monkeypatch.setattr(orphans, "_BACKOFF_S", (0.001, 0.001))
    store, away, done = await a_store(), [True, True], asyncio.Event()
    page, act, acts = store.page, store.act, []

    async def sometimes(query):
        if away:
            away.pop()
            raise StoreAway("the alert store", "Redis is not there", 0)
        return await page(query)

    async def counted(*words):
        await act(*words)
        acts.append(words)
        if len(acts) == MANY - 1:
            done.set()

    monkeypatch.setattr(store, "page", sometimes)
    monkeypatch.setattr(store, "act", counted)
    async with resolving_orphans(store, {"hot"}):
        await asyncio.wait_for(done.wait(), 20)
    assert await unresolved(store) == ["hot"]


async def test_the_end_does_not_wait_for_a_store_that_is_away(monkeypatch):
    store = await a_store()

    async def never(_query):
        raise StoreAway("the alert store", "Redis is not there")

    monkeypatch.setattr(store, "page", never)
    async with asyncio.timeout(20):
        async with resolving_orphans(store, {"hot"}):
            await asyncio.sleep(0)
