"""What rollouts need from outside, as narrow as it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mesh.rollouts.plan import Guard, Plan
from mesh.rollouts.record import Evidence
from mesh.rollouts.states import Rollout
from mesh.rollouts.tally import Observations

STEP_S: Final = 5.0
"""The longest that one call of a port is waited for: a rollback must be through in 10 s."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that are accepted now: what `routing.yaml` holds, as plain data, and the version to name in a proposal."""

    version: str
    document: Mapping[str, Any]


class Routes(Protocol):
    """The one place where rules change."""

    async def current(self) -> Rules:
        """The newest accepted rules."""
        ...

    async def propose(self, document: Mapping[str, Any], expected: str, actor: str) -> str:
        """Accept `document` where the rules are still at version `expected`; the new version.

        Raises `WrongState` where they are not, `InvalidConfig` where the document makes no sense; nothing has changed then.
        """
        ...


class Aliases(Protocol):
    """Which version of a model a name such as `champion` stands for."""

    async def current(self, name: str, alias: str) -> str | None:
        """The hosted model that it stands for; None where it stands for nothing."""
        ...

    async def version(self, name: str, alias: str) -> str | None:
        """The same in words that stay true whatever is hosted later: what is kept until the alias goes back."""
        ...

    async def move(self, name: str, alias: str, expected: str | None, to: str | None, actor: str) -> None:
        """Let it stand for `to` (None: nothing), where it still stands for `expected`; else raises `WrongState`.

        Raises `NotFound`, `InvalidConfig` or `InvalidInput` where `to` is nothing that it can stand for, now or later.
        """
        ...


class Audit(Protocol):
    """The log of everything that was changed."""

    async def record(
        self, action: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any], actor: str
    ) -> None:
        """Append one entry. The same one may come twice, after a crash."""
        ...


class EvidenceFeed(Protocol):
    """A source of observations, each given once."""

    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        """What came after `cursor` ("" is the rollout's beginning), bounded, and the cursor behind it.

        Where the bound left some out, `upto_ms` of what came says up to when it is whole.
        """
        ...


class Guards(Protocol):
    """What speaks against going on, whatever the candidate does."""

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """Each guard of the plan's `freeze_when` that holds now, and why."""
        ...


class Hosts(Protocol):
    """Who hosts candidates."""

    async def host(self, plan: Plan, actor: str) -> None:
        """Return when the candidate serves, at once where it does. Raises a `MeshError` that says why it does not."""
        ...


class Lease(Protocol):
    """Who may control rollouts."""

    async def hold(self) -> bool:
        """Take the lease or renew it; False where another holds it."""
        ...

    async def release(self) -> None:
        """Let the next one take it at once."""
        ...


class RolloutBook(Protocol):
    """The rollouts that there are."""

    async def all(self) -> Sequence[Rollout]:
        """Every rollout, the newest first; of one name only the newest."""
        ...

    async def get(self, name: str) -> Rollout:
        """One rollout; `NotFound` says which there are."""
        ...

    async def write(self, rollout: Rollout, before: Rollout | None) -> bool:
        """Keep it, where (state, generation) are still those of `before`; else False, and nothing has changed.

        `before` is None for one that begins: none of that name may be under way, and none of its endpoint.
        """
        ...


class EvidenceBook(Protocol):
    """What was seen of each rollout."""

    async def evidence(self, rollout: Rollout) -> Evidence:
        """What was kept last; empty at the beginning."""
        ...

    async def keep(self, rollout: Rollout, evidence: Evidence) -> None:
        """Keep it instead of what was there."""
        ...
