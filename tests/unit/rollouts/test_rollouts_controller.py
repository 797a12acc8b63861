from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from rollout_cases import APPROVAL, CANARY, PROMOTE, SHADOW, plan

from mesh.errors import InvalidInput, StoreAway, WrongState
from mesh.rollouts.controller import Controller, World
from mesh.rollouts.desk import Desk
from mesh.rollouts.memory import (
    MemoryAliases,
    MemoryAudit,
    MemoryFeed,
    MemoryGuards,
    MemoryLease,
    MemoryRollouts,
    MemoryRoutes,
)
from mesh.rollouts.plan import Plan
from mesh.rollouts.ports import Rules
from mesh.rollouts.tally import Observations, PairSeen

RULES = {"routes": [{"name": "main", "when": "always", "send": ["old"]}]}


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Stage:
    """A controller over the memory ports, and a clock to turn."""

    def __init__(self, routes: MemoryRoutes | None = None) -> None:
        self.clock = Clock()
        self.book = MemoryRollouts()
        self.routes = routes or MemoryRoutes(RULES)
        self.aliases = MemoryAliases({("pump", "champion"): "old"})
        self.audit = MemoryAudit()
        self.guards = MemoryGuards()
        self.feed = MemoryFeed()
        self.holders: list[str] = []
        self.desk = Desk(self.book, self.book, self.routes, self.clock)
        self.controller = self.another("one")

    def another(self, owner: str) -> Controller:
        world = World(
            self.book, self.book, self.routes, self.aliases, self.audit, self.guards, {"live": self.feed}
        )
        return Controller(world, MemoryLease(owner, self.holders), self.clock)

    async def looks(self, count: int = 1, seconds: float = 1.0) -> None:
        for _ in range(count):
            await self.controller.tick()
            self.clock.ms += int(seconds * 1_000)

    def see(self, windows: int, *, flipped: bool = False) -> None:
        """So many units in this moment's window, one in twenty with an alert."""
        now = self.clock.ms // 1_000
        pairs = [PairSeen(f"u{n}", now, n % 20 == 0, (n % 20 == 0) != flipped) for n in range(windows)]
        self.feed.seen.append(Observations(pairs=tuple(pairs), rows={"primary": 900, "candidate": 100}))

    async def state(self) -> str:
        return (await self.book.get("try")).state


FULL = plan(SHADOW, CANARY, PROMOTE, model="pump")


async def promoted(stage: Stage, made: Plan = FULL) -> None:
    await stage.desk.start(made, "ann")
    for _ in range(20):
        stage.see(200)
        await stage.looks(1, 10.0)


async def test_a_good_candidate_goes_all_the_way_and_every_move_is_audited() -> None:
    stage = Stage()
    await promoted(stage)
    rollout = await stage.book.get("try")
    assert rollout.state == "Promoted"
    rules = (await stage.routes.current()).document
    assert rules["routes"][0]["send"] == ["new"]
    assert stage.aliases.known == {("pump", "champion"): "new"}
    actions = [entry[0].removeprefix("rollout.") for entry in stage.audit.entries]
    assert actions == ["start", "shadow", "progress", "promote", "finish"]
    assert {entry[1] for entry in stage.audit.entries} == {"rollout:try"}
    assert stage.audit.entries[0][4] == "ann"
    assert {actor for actor, _ in stage.routes.accepted} == {"rollout:try"}


LONG_WARM = replace(FULL, steps=(SHADOW, CANARY, replace(PROMOTE, keep_warm_ms=3_600_000)))


async def test_the_old_model_stays_warm_for_its_time() -> None:
    stage = Stage()
    await promoted(stage, LONG_WARM)
    warm = (await stage.routes.current()).document["routes"][0]
    assert warm["shadow"] == [{"model": "old", "percent": 1.0}]
    await stage.looks(2, 3_600.0)
    assert (await stage.routes.current()).document["routes"] == [{**RULES["routes"][0], "send": ["new"]}]
    assert not (await stage.book.get("try")).warm


async def test_a_promotion_can_be_taken_back_while_the_old_model_is_warm() -> None:
    stage = Stage()
    await promoted(stage, LONG_WARM)
    await stage.desk.act("try", "abort", "ann", note="worse after all")
    await stage.looks()
    assert await stage.state() == "Aborted"
    assert (await stage.routes.current()).document == RULES
    assert stage.aliases.known == {("pump", "champion"): "old"}


async def test_an_alias_that_stood_for_nothing_stands_for_nothing_after_an_abort() -> None:
    stage = Stage()
    stage.aliases.known.clear()
    await promoted(stage, LONG_WARM)
    assert stage.aliases.known == {("pump", "champion"): "new"}
    await stage.desk.act("try", "abort", "ann")
    await stage.looks()
    assert await stage.state() == "Aborted"
    assert stage.aliases.known == {}


class Unsaid(MemoryRollouts):
    """The first promotion that was carried out cannot be written down: its controller died, and another takes over."""

    died = False

    async def write(self, rollout: Any, before: Any) -> bool:
        if rollout.state == "Promoted" and not self.died:
            self.died = True
            raise StoreAway("the book of rollouts", "nobody answers")
        return await super().write(rollout, before)


async def test_what_the_alias_stood_for_is_known_to_the_next_controller_too() -> None:
    stage = Stage()
    stage.aliases.known = {("pump", "champion"): "third"}
    stage.book = Unsaid()
    stage.desk = Desk(stage.book, stage.book, stage.routes, stage.clock)
    stage.controller = stage.another("one")
    await promoted(stage, LONG_WARM)
    assert (stage.book.died, await stage.state()) == (True, "Promoted")
    await stage.desk.act("try", "abort", "ann")
    await stage.looks()
    assert stage.aliases.known == {("pump", "champion"): "third"}


async def test_a_worse_candidate_is_rolled_back_at_the_look_that_sees_it_and_says_why() -> None:
    stage = Stage()
    await stage.desk.start(FULL, "ann")
    await stage.looks(2)
    stage.see(200, flipped=True)
    await stage.looks(3)
    rollout = await stage.book.get("try")
    assert rollout.state == "RolledBack"
    assert rollout.reason.startswith("alerts: 90.00% of 200 windows")
    assert (await stage.routes.current()).document == RULES


async def test_a_restart_goes_on_where_the_other_stopped_and_counts_nothing_twice() -> None:
    stage = Stage()
    await stage.desk.start(FULL, "ann")
    stage.see(50)
    await stage.looks(4)
    stage.holders.clear()
    stage.controller = stage.another("two")
    await stage.looks(2)
    shown = await stage.desk.shown("try")
    assert shown.evidence.tally.pairs == 50
    assert shown.missing == ("50 of 100 windows compared", *shown.missing[1:])


async def test_one_controller_at_a_time() -> None:
    stage = Stage()
    other = stage.another("two")
    assert await stage.controller.tick()
    assert not await other.tick()
    stage.holders.clear()
    assert await other.tick()
    assert not await stage.controller.tick()


class Unwilling(MemoryRoutes):
    """Rules that cannot be changed while `away`."""

    away = True

    async def propose(self, document: Mapping[str, Any], expected: str, actor: str) -> str:
        if self.away:
            raise StoreAway("the rules", "nobody answers")
        return await super().propose(document, expected, actor)


async def test_rules_that_cannot_be_changed_pause_it_after_its_tries() -> None:
    stage = Stage(Unwilling(RULES))
    await stage.desk.start(FULL, "ann")
    await stage.looks(3)
    rollout = await stage.book.get("try")
    assert (rollout.state, rollout.pause) == ("Paused", "error")
    assert "3 tries failed" in rollout.reason


async def test_a_rollback_is_tried_until_it_is_done() -> None:
    routes = Unwilling(RULES)
    routes.away = False
    stage = Stage(routes)
    await stage.desk.start(FULL, "ann")
    await stage.looks(1)
    routes.away = True
    stage.see(200, flipped=True)
    await stage.looks(12)
    assert await stage.state() == "RollingBack"
    assert "nobody answers" in (await stage.book.get("try")).trouble
    routes.away = False
    await stage.looks(1)
    assert await stage.state() == "RolledBack"
    assert (await stage.routes.current()).document == RULES


class Broken(MemoryFeed):
    """Has a mistake of its own in what it says of the newer rollout."""

    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        if plan.name == "newer":
            raise KeyError("seen")
        return await super().read(plan, cursor)


async def test_a_mistake_in_one_rollout_does_not_keep_another_from_its_rollback() -> None:
    stage = Stage(MemoryRoutes({"endpoints": {"default": RULES, "other": RULES}}))
    stage.feed = Broken()
    stage.controller = stage.another("one")
    await stage.desk.start(FULL, "ann")
    stage.clock.ms += 1
    await stage.desk.start(replace(FULL, name="newer", endpoint="other"), "ann")
    await stage.looks(2)
    stage.see(200, flipped=True)
    await stage.looks(3)
    assert await stage.state() == "RolledBack"


async def test_what_people_change_in_the_rules_meanwhile_stays() -> None:
    stage = Stage()
    await stage.desk.start(FULL, "ann")
    await stage.looks(1)
    rules = await stage.routes.current()
    more = {"name": "more", "when": "x == 1", "send": ["other"]}
    await stage.routes.propose({"routes": [*rules.document["routes"], more]}, rules.version, "bob")
    await stage.desk.act("try", "abort", "ann")
    await stage.looks(1)
    assert (await stage.routes.current()).document == {"routes": [*RULES["routes"], more]}


async def change(stage: Stage, document: Mapping[str, Any]) -> None:
    rules = await stage.routes.current()
    await stage.routes.propose(document, rules.version, "bob")


async def test_a_route_that_people_point_elsewhere_does_not_keep_the_old_model_warm_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    await promoted(stage, LONG_WARM)
    theirs = {"routes": [{"name": "main", "when": "always", "send": ["third"]}]}
    await change(stage, theirs)
    await stage.looks(3)
    rollout = await stage.book.get("try")
    assert rollout.warm
    assert "no route of endpoint 'default' sends rows to 'old'" in rollout.trouble
    await stage.looks(2, 3_600.0)
    after = await stage.book.get("try")
    assert (after.state, after.warm) == ("Promoted", False)
    assert (await stage.routes.current()).document == theirs
    assert caplog.text.count("no route of endpoint 'default'") == 2  # when it began, and at the end
    assert "the rules stay as people made them" in caplog.text
    assert (await stage.desk.start(replace(FULL, name="next", primary="third"), "ann")).state == "Pending"


async def test_trouble_with_keeping_it_warm_is_over_when_the_rules_are_right_again() -> None:
    stage = Stage()
    await promoted(stage, LONG_WARM)
    right = (await stage.routes.current()).document
    await change(stage, {"routes": [{"name": "main", "when": "always", "send": ["third"]}]})
    await stage.looks(1)
    assert (await stage.book.get("try")).trouble
    await change(stage, right)
    await stage.looks(1)
    after = await stage.book.get("try")
    assert (after.trouble, after.warm) == ("", True)


ELSEWHERE = {"endpoints": {"other": RULES, "more": RULES}}


@pytest.mark.parametrize("warm", [False, True])
async def test_a_rollout_whose_endpoint_is_gone_can_be_aborted(warm: bool) -> None:
    stage = Stage(MemoryRoutes(ELSEWHERE))
    made = replace(LONG_WARM, endpoint="other")
    if warm:
        await promoted(stage, made)
    else:
        await stage.desk.start(made, "ann")
        await stage.looks(1)
    left = {"endpoints": {"more": RULES}}
    await change(stage, left)
    await stage.looks(1)
    await stage.desk.act("try", "abort", "ann")
    await stage.looks(1)
    assert await stage.state() == "Aborted"
    assert (await stage.routes.current()).document == left


class DeafFeed(MemoryFeed):
    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        raise StoreAway("the evidence", "nobody answers")


async def test_evidence_that_cannot_be_read_is_missing_and_pauses() -> None:
    stage = Stage()
    stage.feed = DeafFeed()
    stage.controller = stage.another("one")
    await stage.desk.start(FULL, "ann")
    await stage.looks(3, 3_000.0)
    rollout = await stage.book.get("try")
    assert (rollout.state, rollout.pause) == ("Paused", "inconclusive")


async def test_approvals_and_wishes_pass_the_desk() -> None:
    stage = Stage()
    made = plan(SHADOW, APPROVAL, PROMOTE)
    await stage.desk.start(made, "ann")
    await stage.looks(1)
    stage.see(400)
    await stage.looks(4)
    assert (await stage.book.get("try")).pause == "approval"
    with pytest.raises(InvalidInput, match="analyst"):
        await stage.desk.act("try", "approve", "bob", ["viewer"])
    await stage.desk.act("try", "approve", "bob", ["analyst"], "go")
    await stage.looks(1)
    assert await stage.state() == "Promoted"
    assert [entry[4] for entry in stage.audit.entries if entry[0] == "rollout.promote"] == ["bob"]


async def test_one_rollout_an_endpoint_and_a_new_one_after_it() -> None:
    stage = Stage()
    await stage.desk.start(FULL, "ann")
    with pytest.raises(WrongState, match="try"):
        await stage.desk.start(replace(FULL, name="other"), "ann")
    await stage.desk.act("try", "abort", "ann")
    await stage.looks(1)
    assert await stage.state() == "Aborted"
    assert (await stage.desk.start(FULL, "ann")).state == "Pending"
    with pytest.raises(InvalidInput, match="no endpoint"):
        await stage.desk.start(replace(FULL, name="third", endpoint="nowhere"), "ann")


class Hosting:
    """Whoever hosts a candidate takes a while; `meanwhile` is what others do in it."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.meanwhile = meanwhile

    async def host(self, plan: Plan, actor: str) -> None:
        await self.meanwhile()


async def test_of_two_that_begin_while_candidates_are_hosted_one_does() -> None:
    stage = Stage()
    other = replace(FULL, name="other")
    slow = Desk(
        stage.book,
        stage.book,
        stage.routes,
        stage.clock,
        hosts=Hosting(lambda: stage.desk.start(FULL, "ann")),
    )
    with pytest.raises(WrongState, match=r"'try' of endpoint 'default' is Pending"):
        await slow.start(other, "bob")
    assert [one.name for one in await stage.desk.all()] == ["try"]


async def test_rules_that_changed_while_the_candidate_was_hosted_are_looked_at_again() -> None:
    stage = Stage()
    theirs = {"routes": [{"name": "main", "when": "always", "send": ["new"]}]}
    slow = Desk(
        stage.book, stage.book, stage.routes, stage.clock, hosts=Hosting(lambda: change(stage, theirs))
    )
    with pytest.raises(InvalidInput, match="take it out first"):
        await slow.start(FULL, "bob")
    assert await stage.desk.all() == ()


class Racing(MemoryRollouts):
    """Somebody is always quicker, `times` times."""

    times = 2

    async def write(self, rollout: Any, before: Any) -> bool:
        if before is not None and self.times:
            self.times -= 1
            return False
        return await super().write(rollout, before)


async def test_a_wish_that_comes_late_is_made_anew() -> None:
    book = Racing()
    desk = Desk(book, book, MemoryRoutes(RULES), Clock())
    await desk.start(FULL, "ann")
    assert (await desk.act("try", "abort", "ann")).state == "Aborted"
    book.times = 99
    await desk.start(FULL, "ann")
    with pytest.raises(StoreAway, match="in between"):
        await desk.act("try", "abort", "ann")


async def test_memory_routes_compare_before_they_set() -> None:
    routes = MemoryRoutes(RULES)
    assert await routes.current() == Rules("1", RULES)
    assert await routes.propose({}, "1", "ann") == "2"
    with pytest.raises(WrongState):
        await routes.propose({}, "1", "ann")
