"""Several sources of guards as one, and a rollout that none may begin beside."""

from collections.abc import Mapping

import pytest
from rollout_cases import plan
from test_rollouts_controller import FULL, Stage

from mesh.errors import InvalidInput, StoreAway, WrongState
from mesh.rollouts.desk import Desk
from mesh.rollouts.guards import PATIENCE_S, EveryGuard, Watched
from mesh.rollouts.memory import MemoryGuards
from mesh.rollouts.plan import Guard, Plan


class Away(MemoryGuards):
    """Does not answer while `away`; counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.away, self.asked = False, 0

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        self.asked += 1
        if self.away:
            raise StoreAway("the scoreboard", "gone")
        return await super().holding(plan)


class Set:
    """Two sources, and a clock to turn."""

    def __init__(self) -> None:
        self.drift, self.chain, self.now = Away(), Away(), 100.0
        sources = [
            Watched(frozenset[Guard]({"drift"}), self.drift),
            Watched(frozenset[Guard]({"degraded", "breaker"}), self.chain),
        ]
        self.every = EveryGuard(sources, lambda: self.now)

    async def holding(self, *wanted: Guard) -> Mapping[Guard, str]:
        return await self.every.holding(plan(freeze_when=wanted))


async def test_only_what_a_plan_names_is_asked_and_counts() -> None:
    one = Set()
    one.chain.now = {"degraded": "the telemetry chain is at L2", "breaker": "open: old"}
    assert await one.holding("drift") == {}
    assert (one.drift.asked, one.chain.asked) == (1, 0)
    assert await one.holding("degraded") == {"degraded": "the telemetry chain is at L2"}
    assert await one.holding() == {}


async def test_what_nobody_watches_holds() -> None:
    assert await Set().holding("slo_burn") == {
        "slo_burn": "nobody here can tell; leave it out of freeze_when"
    }


async def test_a_source_that_is_away_for_a_moment_changes_nothing_and_for_long_holds() -> None:
    one = Set()
    assert await one.holding("degraded", "breaker") == {}
    one.chain.away = True
    one.now += PATIENCE_S - 1
    assert await one.holding("degraded", "breaker") == {}
    one.now += 1
    silent = await one.holding("degraded", "breaker")
    assert silent == dict.fromkeys(("degraded", "breaker"), "not known: the scoreboard does not answer: gone")
    one.chain.away = False
    assert await one.holding("degraded", "breaker") == {}


async def test_a_source_with_a_mistake_of_its_own_holds_and_raises_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Mistaken(MemoryGuards):
        async def holding(self, plan: Plan) -> Mapping[Guard, str]:
            raise KeyError("data")

    every = EveryGuard([Watched(frozenset[Guard]({"alerts"}), Mistaken())])
    assert await every.holding(plan(freeze_when=("alerts",))) == {"alerts": "not known: 'data'"}
    assert "a source of guards failed" in caplog.text


async def test_a_source_that_never_answered_holds_at_once() -> None:
    one = Set()
    one.drift.away = True
    assert set(await one.holding("drift")) == {"drift"}


class Hosting:
    """Hosts, or says why not."""

    def __init__(self, error: InvalidInput | None = None) -> None:
        self.hosted: list[tuple[str, str]] = []
        self.error = error

    async def host(self, plan: Plan, actor: str) -> None:
        if self.error is not None:
            raise self.error
        self.hosted.append((plan.candidate, actor))


async def test_none_begins_while_a_guard_holds_and_nothing_was_hosted_for_it() -> None:
    stage, hosts = Stage(), Hosting()
    desk = Desk(stage.book, stage.book, stage.routes, stage.clock, stage.guards, hosts)
    guarded = plan(*FULL.steps, freeze_when=("drift",))
    stage.guards.now = {"drift": "score drifts", "degraded": "not of this plan"}
    with pytest.raises(
        WrongState, match="rollout 'try' is held back by drift: score drifts: it takes no 'start'"
    ):
        await desk.start(guarded, "ann")
    assert (hosts.hosted, await stage.book.all()) == ([], [])
    stage.guards.now = {}
    assert (await desk.start(guarded, "ann")).state == "Pending"
    assert hosts.hosted == [("new", "ann")]


async def test_none_begins_with_a_candidate_that_does_not_start() -> None:
    stage = Stage()
    hosts = Hosting(InvalidInput("candidate", "'new' does not start"))
    desk = Desk(stage.book, stage.book, stage.routes, stage.clock, hosts=hosts)
    with pytest.raises(InvalidInput, match="does not start"):
        await desk.start(FULL, "ann")
    assert await stage.book.all() == []


async def test_a_guard_that_comes_up_stops_it_where_it_is_and_it_goes_on_by_itself() -> None:
    stage = Stage()
    await stage.desk.start(plan(*FULL.steps, freeze_when=("breaker",)), "ann")
    await stage.looks(1)
    assert await stage.state() == "Shadowing"
    stage.guards.now = {"breaker": "open: new"}
    await stage.looks(1)
    held = await stage.book.get("try")
    assert (held.state, held.pause, held.reason) == ("Paused", "guard", "breaker: open: new")
    stage.guards.now = {}
    await stage.looks(1)
    assert await stage.state() == "Shadowing"
