"""An application as somebody in particular asks it: the actor that a guard in front would have found."""

from typing import Any, Final

from mesh.records.entry import Actor
from serve.access.guard import App, Receive, Scope, Send

HERE: Final = Actor("dana", "admin", "local")
"""The user of the mesh's own machine, who may act under any name."""


class AsActor:
    """Puts `actor` into every scope; it can be changed between requests."""

    def __init__(self, app: App, actor: Actor | None) -> None:
        self._app, self.actor = app, actor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        state: dict[str, Any] = {**scope.get("state", {}), "actor": self.actor}
        await self._app({**scope, "state": state}, receive, send)
