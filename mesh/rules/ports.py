"""The seams of the rules: who proposes, where they are kept, who hosts models, who is told."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from mesh.rules.values import Accepted, Kept, Proposal, Refused, Revision, RulesState
from mesh.spec import ModelSpec

Make = Callable[[], Awaitable[None]]
"""Makes a change that was written down."""


class RuleBook(Protocol):
    """The rules that the mesh answers by."""

    async def current(self) -> Revision:
        """The newest accepted revision. Raises `StoreAway` where nobody can say."""
        ...

    async def propose(self, table: Proposal, expected_version: int | None, actor: str) -> Accepted | Refused:
        """Compare and set: take `table` where the version is still `expected_version` (None: whatever it is).

        A proposal with new models waits until they serve, a minute or two at most. Raises `StoreAway`.
        """
        ...


class RulesReader(Protocol):
    """Tells people what is so."""

    async def state(self) -> RulesState:
        """The newest revision, those before it, what was refused, and who has taken it. Raises `StoreAway`."""
        ...


class RulesStore(Protocol):
    """Keeps the newest rules over restarts. One writer; its calls block. Both raise `StoreAway`."""

    def load(self) -> Kept | None:
        """What was saved last; None before the first."""
        ...

    def save(self, kept: Kept) -> None:
        """Keep it, whole or not at all."""
        ...


class Hosting(Protocol):
    """Starts and ends models while the mesh runs."""

    async def host(self, spec: ModelSpec) -> None:
        """Return when a replica serves; at once where one does. Raises a `MeshError` that says why it does not.

        The model is held from the call on, whatever comes of it, until `release`: no drop ends it meanwhile.
        """
        ...

    def release(self, model: str) -> None:
        """The change that had `host` called is taken or refused; once for each call."""
        ...

    async def drop(self, model: str) -> None:
        """No table names it any more; what is under way may finish."""
        ...


class Audit(Protocol):
    """Where every change of the rules is written down."""

    async def change_rules(self, before: str, after: str, actor: str, make: Make) -> None:
        """Write it down, then `make` it: what cannot be written down is not made, and what `make` raises is written down too."""
        ...


class NoAudit:
    """Writes nothing down."""

    async def change_rules(self, before: str, after: str, actor: str, make: Make) -> None:
        """See `Audit`."""
        del before, after, actor
        await make()


class HostedElsewhere:
    """Hosting for whoever runs no models of their own: every model is taken to serve."""

    async def host(self, spec: ModelSpec) -> None:
        """See `Hosting`."""

    def release(self, model: str) -> None:
        """See `Hosting`."""

    async def drop(self, model: str) -> None:
        """See `Hosting`."""
