"""Guards of several sources as one: what nobody can see now speaks against going on, and never against going back."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.bounded import within
from mesh.errors import MeshError
from mesh.rollouts.plan import Guard, Plan
from mesh.rollouts.ports import Guards

ASK_S: Final = 2.0
"""The longest that one source is waited for; all are asked at once."""
PATIENCE_S: Final = 10.0
"""How long a source's last answer stands while it gives no other: a store that is away for a moment pauses nothing."""


logger = logging.getLogger("ray.serve")


class NoGuards:
    """`Guards` that never hold."""

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`."""
        del plan
        return {}


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and the guards that it knows of."""

    guards: frozenset[Guard]
    source: Guards


@dataclass(frozen=True, slots=True)
class _Said:
    at: float
    holding: Mapping[Guard, str]


class EveryGuard:
    """`Guards` over several sources, of which only those are asked whose guards a plan names."""

    def __init__(
        self,
        sources: Sequence[Watched],
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`clock` in seconds."""
        self._sources, self._clock, self._patience_s = tuple(sources), clock, patience_s
        self._said: dict[tuple[int, str], _Said] = {}

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`, of the guards that the plan names; never raises.

        A guard that no source watches, or whose source is silent for long, holds.
        """
        wanted = frozenset(plan.freeze_when)
        asked = [(at, one) for at, one in enumerate(self._sources) if one.guards & wanted]
        said = await asyncio.gather(*(self._ask(at, one, plan) for at, one in asked))
        watched = frozenset[Guard]().union(*(one.guards for _, one in asked))
        found: dict[Guard, str] = dict.fromkeys(
            wanted - watched, "nobody here can tell; leave it out of freeze_when"
        )
        for holding in said:
            found |= {guard: says for guard, says in holding.items() if guard in wanted}
        return found

    async def _ask(self, at: int, one: Watched, plan: Plan) -> Mapping[Guard, str]:
        now, place = self._clock(), (at, plan.digest)
        try:
            said = await within(ASK_S, one.source.holding(plan))
        except Exception as error:
            if not isinstance(error, MeshError | TimeoutError):
                # Which must not keep a candidate from its rollback.
                logger.exception("a source of guards failed")
            last = self._said.get(place)
            if last is not None and now - last.at < self._patience_s:
                return last.holding
            return dict.fromkeys(one.guards, f"not known: {error or 'no answer in time'}")
        # Of plans that are over nothing is kept: there is one at a time for an endpoint.
        self._said = {key: kept for key, kept in self._said.items() if now - kept.at < self._patience_s}
        self._said[place] = _Said(now, said)
        return said
