"""Every port in memory: for tests, the bench and a trial without servers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mesh.errors import NotFound, WrongState
from mesh.rollouts.plan import Guard, Plan
from mesh.rollouts.ports import Rules
from mesh.rollouts.record import Evidence
from mesh.rollouts.states import Rollout
from mesh.rollouts.tally import Observations


class MemoryRoutes:
    """Rules in memory. `check` raises `InvalidConfig` for a document that makes no sense."""

    def __init__(
        self, document: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object] | None = None
    ) -> None:
        """Begin with `document` as version 1."""
        self._rules = Rules("1", document)
        self._check = check
        self.accepted: list[tuple[str, Mapping[str, Any]]] = []
        """Who changed the rules, and to what."""

    async def current(self) -> Rules:
        """As `Routes.current`."""
        return self._rules

    async def propose(self, document: Mapping[str, Any], expected: str, actor: str) -> str:
        """As `Routes.propose`."""
        if expected != self._rules.version:
            raise WrongState("the rules", f"at version {self._rules.version}, not {expected}", "propose")
        if self._check is not None:
            self._check(document)
        self._rules = Rules(str(int(expected) + 1), document)
        self.accepted.append((actor, document))
        return self._rules.version


class MemoryAliases:
    """Aliases in memory, by (model, alias)."""

    def __init__(self, known: Mapping[tuple[str, str], str] | None = None) -> None:
        """Begin with `known`."""
        self.known = dict(known or {})

    async def current(self, name: str, alias: str) -> str | None:
        """As `Aliases.current`."""
        return self.known.get((name, alias))

    async def version(self, name: str, alias: str) -> str | None:
        """As `Aliases.version`; names of models in memory stay true."""
        return self.known.get((name, alias))

    async def move(self, name: str, alias: str, expected: str | None, to: str | None, actor: str) -> None:
        """As `Aliases.move`."""
        del actor
        if self.known.get((name, alias)) != expected:
            raise WrongState(f"alias '{alias}' of '{name}'", f"at {self.known.get((name, alias))}", "move")
        if to is None:
            self.known.pop((name, alias), None)
        else:
            self.known[name, alias] = to


class MemoryAudit:
    """Entries in memory."""

    def __init__(self) -> None:
        """Nothing recorded."""
        self.entries: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any], str]] = []

    async def record(
        self, action: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any], actor: str
    ) -> None:
        """As `Audit.record`."""
        self.entries.append((action, subject, before, after, actor))


class MemoryFeed:
    """Observations that somebody puts in; the cursor counts them."""

    def __init__(self) -> None:
        """Nothing seen."""
        self.seen: list[Observations] = []

    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        """As `EvidenceFeed.read`; one part a call."""
        del plan
        place = int(cursor or 0)
        if place >= len(self.seen):
            return Observations(), cursor
        return self.seen[place], str(place + 1)


class MemoryGuards:
    """Guards that somebody sets."""

    def __init__(self) -> None:
        """None holds."""
        self.now: dict[Guard, str] = {}

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`."""
        return {guard: says for guard, says in self.now.items() if guard in plan.freeze_when}


class MemoryLease:
    """A lease that many share: `holder` names who has it."""

    def __init__(self, owner: str, holders: list[str]) -> None:
        """`holders` is shared by all who want the lease; its only element holds it."""
        self._owner, self._holders = owner, holders

    async def hold(self) -> bool:
        """As `Lease.hold`."""
        if not self._holders:
            self._holders.append(self._owner)
        return self._holders == [self._owner]

    async def release(self) -> None:
        """As `Lease.release`."""
        if self._holders == [self._owner]:
            self._holders.clear()


class MemoryRollouts:
    """Rollouts and their evidence in memory."""

    def __init__(self) -> None:
        """None yet."""
        self._rollouts: dict[str, Rollout] = {}
        self._evidence: dict[tuple[str, int], Evidence] = {}

    async def all(self) -> Sequence[Rollout]:
        """As `RolloutBook.all`."""
        return sorted(self._rollouts.values(), key=lambda one: -one.created_ms)

    async def get(self, name: str) -> Rollout:
        """As `RolloutBook.get`."""
        if name not in self._rollouts:
            raise NotFound(
                f"no rollout '{name}' was started; there are: {', '.join(self._rollouts) or 'none'}"
            )
        return self._rollouts[name]

    async def write(self, rollout: Rollout, before: Rollout | None) -> bool:
        """As `RolloutBook.write`."""
        known = self._rollouts.get(rollout.name)
        if before is None:
            fits = all(
                one.over
                for one in self._rollouts.values()
                if one.name == rollout.name or one.plan.endpoint == rollout.plan.endpoint
            )
        else:
            fits = known is not None and (known.state, known.generation) == (before.state, before.generation)
        if fits:
            self._rollouts[rollout.name] = rollout
        return fits

    async def evidence(self, rollout: Rollout) -> Evidence:
        """As `EvidenceBook.evidence`."""
        return self._evidence.get((rollout.name, rollout.created_ms), Evidence())

    async def keep(self, rollout: Rollout, evidence: Evidence) -> None:
        """As `EvidenceBook.keep`."""
        self._evidence[rollout.name, rollout.created_ms] = evidence
