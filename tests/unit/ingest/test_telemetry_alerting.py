"""What reaches the alert topic while the store comes and goes."""

import pytest
from telemetry_made import TELEMETRY

from ingest.stages.alert import Alert
from ingest.telemetry.alerting import BUDGET_S, AlertOutput
from mesh.alerts import Budget, Policy
from mesh.errors import StoreAway
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.alerts.metering import AlertMetering
from mesh.telemetry.recorder import Recorder
from tests.fakes.alert_events import BEGAN, opened

POLICY = Policy(budget=Budget(600_000, 1))


class Away:
    """A store that is away for the calls of one kind, so many times; remembers what it was asked."""

    def __init__(self, **fails: int) -> None:
        self.inner, self.fails = MemoryAlerts(POLICY), fails
        self.asked: list[str] = []

    async def write(self, events):
        self._fail("write")
        return await self.inner.write(events)

    async def budget_left(self, at):
        self._fail("budget_left")
        return await self.inner.budget_left(at)

    def _fail(self, call: str) -> None:
        self.asked.append(call)
        if self.fails.get(call, 0) > 0:
            self.fails[call] -= 1
            raise StoreAway("the alert store", "Redis")


class Told:
    """The alert topic."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    async def write(self, records):
        self.records += [value for _, value, _ in records]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.telemetry.alerting._BACKOFF_S", (0.001, 0.002))


async def told(store: Away) -> tuple[list[bytes], Recorder]:
    topic, recorder = Told(), Recorder()
    output = AlertOutput(Alert(POLICY, TELEMETRY, ()), store, topic, AlertMetering(recorder))
    await output._write([opened(n) for n in range(3)])
    return topic.records, recorder


async def test_a_digest_opens_on_the_topic_though_the_store_goes_away_after_the_write():
    store = Away(budget_left=2)
    records, recorder = await told(store)
    assert store.asked == ["write", "budget_left", "budget_left", "budget_left"]
    assert [b'"kind":"opened"' in one for one in records] == [True, True]
    assert b'"rule":"digest"' in records[1]
    snapshot = recorder.snapshot()
    assert snapshot.counters["mesh_alert_digests_total"] == {(): 1}
    assert snapshot.gauges["mesh_alert_budget_left"] == {(): 0}


async def test_a_write_is_tried_until_it_is_kept():
    store = Away(write=2)
    records, _ = await told(store)
    assert store.asked == ["write", "write", "write", "budget_left"]
    assert len(records) == 2


class Watched:
    """An output over `store`, whose time the test moves; tells what is left of the budget, None where it says nothing."""

    def __init__(self, store: Away) -> None:
        self.now, self.recorder = 100.0, Recorder()
        metering = AlertMetering(self.recorder)
        self.output = AlertOutput(
            Alert(POLICY, TELEMETRY, ()), store, Told(), metering, clock=lambda: self.now
        )

    async def batch(self, minute: float, *events) -> float | None:
        await self.output._write(events, BEGAN + int(minute * 60_000))
        return self.left

    @property
    def left(self) -> float | None:
        return self.recorder.snapshot().gauges.get("mesh_alert_budget_left", {}).get(())


async def test_a_spent_budget_is_whole_again_in_its_next_window_though_no_alert_comes():
    one = Watched(Away())
    assert await one.batch(0, opened(0), opened(1)) == 0
    one.now += BUDGET_S
    assert await one.batch(5) == 0
    one.now += BUDGET_S
    assert await one.batch(11) == 1


async def test_a_replica_without_alerts_sees_what_others_spend_and_asks_seldom():
    store = Away()
    one, other = Watched(store), Watched(store)
    assert await one.batch(0) == 1
    await other.batch(1, opened(0))
    assert await one.batch(2) == 1  # a moment later: not asked yet
    one.now += BUDGET_S
    assert await one.batch(2) == 0
    assert store.asked == ["budget_left", "write", "budget_left", "budget_left"]


async def test_rows_do_not_wait_for_a_store_that_is_away_only_to_know_what_is_left():
    store = Away(budget_left=1)
    one = Watched(store)
    assert await one.batch(0) is None
    assert store.asked == ["budget_left"]
    one.now += BUDGET_S
    assert await one.batch(0) == 1


async def test_who_loses_a_partition_says_nothing_of_the_budget_until_rows_come():
    one = Watched(Away())
    one.output.begin(0, {})
    assert await one.batch(0) == 1
    one.output.end(0)
    assert one.left is None
    assert await one.batch(0) == 1
