"""The controller: looks at every rollout once a second, and does what the machine decides. One at a time holds the lease.

It is level-triggered: each look compares the rules with what the rollout's state asks of them and proposes the difference, so it
makes no difference where the controller before it stopped. First the state is written, then the rules follow.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mesh.bounded import within
from mesh.errors import InvalidInput, MeshError
from mesh.rollouts.aliasing import before_it_moves, give_back, hand_over
from mesh.rollouts.machine import Situation, decided
from mesh.rollouts.ports import (
    STEP_S,
    Aliases,
    Audit,
    EvidenceBook,
    EvidenceFeed,
    Guards,
    Lease,
    RolloutBook,
    Routes,
)
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.staging import stage_of, staged
from mesh.rollouts.states import MESH, Action, Rollout, moved

PERIOD_S: Final = 1.0
AWAY_S: Final = 3.0
"""Between two looks while a store is away."""
_LOOKING: Final = frozenset({"Shadowing", "Progressing", "Paused"})

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class World:
    """All that the controller works with."""

    book: RolloutBook
    evidence: EvidenceBook
    routes: Routes
    aliases: Aliases
    audit: Audit
    guards: Guards
    feeds: Mapping[str, EvidenceFeed]


def wall_ms() -> int:
    """Now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Controller:
    """Drives rollouts. `tick` once, or `run` until it is cancelled."""

    def __init__(
        self,
        world: World,
        lease: Lease,
        now_ms: Callable[[], int] = wall_ms,
        period_s: float = PERIOD_S,
    ) -> None:
        """Looks every `period_s` seconds."""
        self._world = world
        self._lease = lease
        self._now_ms = now_ms
        self._period_s = period_s

    async def run(self) -> None:
        """Look again and again; what goes wrong is logged once, and tried again, less often while a store is away."""
        away = False
        try:
            while True:
                try:
                    await self.tick()
                    away = False
                except (MeshError, TimeoutError) as error:
                    level = logging.DEBUG if away else logging.WARNING
                    logger.log(level, "nobody looks at rollouts: %s", error or "a store took too long")
                    away = True
                except Exception:  # a look that fails must not end the looking
                    logger.exception("a look at the rollouts failed")
                await asyncio.sleep(AWAY_S if away else self._period_s)
        finally:
            await self._let_go()

    async def tick(self) -> bool:
        """One look at every rollout; False where another controller holds the lease."""
        if not await within(STEP_S, self._lease.hold()):
            return False
        for rollout in await within(STEP_S, self._world.book.all()):
            if rollout.over and rollout.audited == len(rollout.history):
                continue
            try:
                await self._work(rollout)
            except (MeshError, TimeoutError) as error:
                logger.warning("rollout '%s': %s", rollout.name, error or "a store took too long")
            except Exception:  # whatever is wrong with one, another may have to be rolled back
                logger.exception("a look at rollout '%s' failed", rollout.name)
        return True

    async def _let_go(self) -> None:
        try:
            await within(STEP_S, self._lease.release())
        except (MeshError, TimeoutError) as error:
            logger.warning("the lease of rollouts ends by itself: %s", error)

    async def _work(self, rollout: Rollout) -> None:
        if rollout.ended:
            if rollout.warm:
                rollout = await self._keep_warm(rollout)
            await self._tell(rollout)
            return
        after = await self._decide(rollout)
        if after is not rollout and not await self._write(after, rollout):
            return  # somebody moved it meanwhile; the next look sees how
        await self._tell(await self._carry_out(after))

    async def _keep_warm(self, rollout: Rollout) -> Rollout:
        """The old model goes on as a shadow until its time is over; then first out of the rules, and then out of mind.

        The end has a generation of its own, so that nobody who has not seen it takes the promotion back.
        """
        over = self._now_ms() - rollout.began_ms >= rollout.plan.steps[-1].keep_warm_ms
        after = replace(rollout, warm=not over, trouble="", generation=rollout.generation + over)
        try:
            await self._route(after)
        except InvalidInput as error:
            # People gave the rules another shape: nothing that a further look would mend.
            after = replace(after, trouble=str(error))
            if over:
                logger.warning(
                    "rollout '%s' is over; the rules stay as people made them: %s", rollout.name, error
                )
            elif after.trouble != rollout.trouble:
                logger.warning("rollout '%s' keeps no model warm: %s", rollout.name, error)
        if after != rollout and await self._write(after, rollout):
            return after
        return rollout

    async def _decide(self, rollout: Rollout) -> Rollout:
        """What the evidence makes of it, and the keeping of that evidence."""
        now = self._now_ms()
        if rollout.state not in _LOOKING:
            return decided(rollout, Situation(Evidence().tally, (), {}, now))
        evidence = await self._look(rollout, now)
        guards = await within(STEP_S, self._world.guards.holding(rollout.plan))
        return decided(rollout, Situation(evidence.tally, evidence.judgements, guards, now))

    async def _look(self, rollout: Rollout, now: int) -> Evidence:
        before = await within(STEP_S, self._world.evidence.evidence(rollout))
        seen, cursors, failed = [], {}, ""
        for name, feed in self._world.feeds.items():
            try:
                part, cursor = await within(STEP_S, feed.read(rollout.plan, before.cursors.get(name, "")))
            except (MeshError, TimeoutError) as error:  # missing evidence is inconclusive, never success
                failed = f"{name}: {error}"
                continue
            seen.append(part)
            cursors[name] = cursor
        if failed:
            logger.warning("rollout '%s' cannot read its evidence: %s", rollout.name, failed)
        after = await asyncio.to_thread(looked, rollout.plan, before, seen, cursors, now)
        await within(STEP_S, self._world.evidence.keep(rollout, after))
        return after

    async def _carry_out(self, rollout: Rollout) -> Rollout:
        """Make the rules, and the alias, what the state asks for; then the move that says so."""
        try:
            await self._route(rollout)
            rollout = await self._alias(rollout)
        except (MeshError, TimeoutError) as error:
            return await self._stumbled(rollout, str(error) or "a store took too long")
        done = _done(rollout, self._now_ms())
        if done is rollout and rollout.tries:
            done = replace(rollout, tries=0, trouble="")
        if done is not rollout and await self._write(done, rollout):
            return done
        return rollout

    async def _route(self, rollout: Rollout) -> None:
        rules = await within(STEP_S, self._world.routes.current())
        document = staged(rules.document, rollout.plan, stage_of(rollout))
        if document != rules.document:
            actor = f"rollout:{rollout.name}"
            await within(STEP_S, self._world.routes.propose(document, rules.version, actor))

    async def _alias(self, rollout: Rollout) -> Rollout:
        """Move the alias of the promote step, where there is one; back again where it had been moved."""
        aliases = self._world.aliases
        if rollout.state == "Promoting":
            noted = await before_it_moves(rollout, aliases)
            if noted is not rollout and not await self._write(noted, rollout):
                return rollout  # somebody moved it meanwhile, and nothing of this look is written any more
            await hand_over(noted, aliases)
            return noted
        if rollout.state == "RollingBack":
            lost = await give_back(rollout, aliases)
            if lost:  # to try for ever would keep the endpoint from the next rollout
                logger.warning("rollout '%s' ends, but %s", rollout.name, lost)
                return replace(rollout, reason=f"{rollout.reason}; {lost}")
        return rollout

    async def _stumbled(self, rollout: Rollout, trouble: str) -> Rollout:
        """Count a try that failed; after enough of them wait for a person. A rollback is tried for as long as it takes."""
        logger.warning("rollout '%s' (%s): %s", rollout.name, rollout.state, trouble)
        after = replace(rollout, tries=rollout.tries + 1, trouble=trouble)
        stubborn = rollout.state in ("Paused", "RollingBack") or rollout.ended
        if after.tries >= rollout.plan.retries and not stubborn:
            reason = f"{after.tries} tries failed, the last one: {trouble}"
            after = moved(rollout, "pause", now_ms=self._now_ms(), reason=reason, pause="error")
        return after if await self._write(after, rollout) else rollout

    async def _write(self, after: Rollout, before: Rollout) -> bool:
        return await within(STEP_S, self._world.book.write(after, before))

    async def _tell(self, rollout: Rollout) -> None:
        """Every move that the audit log does not have yet. After a crash in between, one comes twice rather than never."""
        told = rollout.audited
        for move in rollout.history[told:]:
            before = {"state": move.before, "generation": move.generation - 1}
            after = {
                "state": move.after,
                "generation": move.generation,
                "step": move.step,
                "reason": move.reason,
                "plan": rollout.plan.digest,
                "at_ms": move.at_ms,
            }
            what = f"rollout.{move.action}", f"rollout:{rollout.name}"
            await within(STEP_S, self._world.audit.record(*what, before, after, move.actor))
            told += 1
        if told != rollout.audited:
            await self._write(replace(rollout, audited=told), rollout)


def _done(rollout: Rollout, now: int) -> Rollout:
    """The move that says that what a state asks for has been done."""
    if rollout.state == "Promoting":
        return moved(rollout, "finish", now_ms=now, reason="all rows go to the candidate")
    if rollout.state == "RollingBack":
        action: Action = "aborted" if rollout.aborting else "rolled_back"
        return replace(moved(rollout, action, now_ms=now, actor=MESH, reason=rollout.reason), warm=False)
    return rollout
