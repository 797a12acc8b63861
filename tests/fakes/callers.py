"""Requests by somebody, for tests of routes without the guard's own rules."""

from mesh.records.entry import Actor
from mesh.records.roles import Role
from serve.access.guard import App, Receive, Scope, Send


class AsActor:
    """`app` as it sees requests of one actor; None is nobody."""

    def __init__(self, app: App, name: str | None = "ann", role: Role = "admin", via: str = "local") -> None:
        self._app = app
        self._actor = None if name is None else Actor(name, role, via)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["actor"] = self._actor
        await self._app(scope, receive, send)
