"""The desk of rules for whoever changes rules or reads comparisons, from any process of the Ray cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ray.exceptions import RayError

from mesh.bounded import within
from mesh.cluster.desk import find_desk
from mesh.engine.compared import ShadowKey
from mesh.errors import StoreAway
from mesh.rules.values import Accepted, Proposal, Refused, Revision, RulesState
from mesh.settings import Settings
from mesh.shadows.values import Pairs, ShadowReport

ASK_S: Final = 5.0
CHANGE_S: Final = 180.0
"""A change with new models waits for them."""


class DeskClient:
    """A `RuleBook` and a `ShadowFeed`. Every method raises `StoreAway` where the desk does not answer."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """The desk of the configuration in `folder`."""
        self._folder, self._settings = folder, settings
        self._desk: Any = None

    async def current(self) -> Revision:
        """See `RuleBook`."""
        return (await self.state()).revision

    async def propose(self, table: Proposal, expected_version: int | None, actor: str) -> Accepted | Refused:
        """See `RuleBook`."""
        result: Accepted | Refused = await self._ask("propose", CHANGE_S, table, expected_version, actor)
        return result

    async def state(self) -> RulesState:
        """The newest revision, those before it, and who has taken it."""
        state: RulesState = await self._ask("state", ASK_S)
        return state

    async def reports(self) -> Sequence[ShadowReport]:
        """See `ShadowFeed`."""
        reports: Sequence[ShadowReport] = await self._ask("shadow_reports", ASK_S)
        return reports

    async def pairs(self, key: ShadowKey, after: int) -> Pairs:
        """See `ShadowFeed`."""
        pairs: Pairs = await self._ask("shadow_pairs", ASK_S, key, after)
        return pairs

    async def _ask(self, method: str, timeout_s: float, *arguments: object) -> Any:
        try:
            if self._desk is None:
                self._desk = await find_desk(self._folder, self._settings)
            return await within(timeout_s, getattr(self._desk, method).remote(*arguments))
        # ValueError: Ray's word for a named actor that is between two lives.
        except (RayError, TimeoutError, ValueError) as error:
            self._desk = None
            cause = getattr(error, "cause", None)
            if isinstance(cause, StoreAway):
                raise cause from error
            said = str(error).strip().splitlines()
            raise StoreAway("the desk of rules", said[-1] if said else type(error).__name__) from error
