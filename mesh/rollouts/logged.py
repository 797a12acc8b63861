"""Ports for a mesh that has nothing better: moves in Serve's log, no aliases, no guards."""

import logging
from collections.abc import Mapping
from typing import Any

from mesh.rollouts.plan import Guard, Plan

logger = logging.getLogger("ray.serve")


class LoggedAudit:
    """An `Audit` that writes to the log of the process. The moves themselves are kept with the rollout."""

    async def record(
        self, action: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any], actor: str
    ) -> None:
        """As `Audit.record`."""
        logger.info(
            "%s %s by %s: %s to %s, %s",
            action,
            subject,
            actor,
            before["state"],
            after["state"],
            after["reason"],
        )


class NoAliases:
    """`Aliases` of a mesh without a registry: every name stands for what it is moved to."""

    async def current(self, name: str, alias: str) -> str | None:
        """As `Aliases.current`."""
        del name, alias
        return None

    async def move(self, name: str, alias: str, expected: str | None, to: str, actor: str) -> None:
        """As `Aliases.move`; written to the log."""
        logger.info("alias %s of %s: %s to %s by %s, no registry keeps it", alias, name, expected, to, actor)


class NoGuards:
    """`Guards` that never hold."""

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`."""
        del plan
        return {}
