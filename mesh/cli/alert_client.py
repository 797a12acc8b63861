"""Alerts over the mesh's HTTP API.

The API and not Redis, so that whatever changes an alert passes the one place that checks it, and so that a laptop without the
way to Redis can do it.
"""

import urllib.parse
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from mesh.cli.api import TIMEOUT_S, Api, ApiFailed

Kind = TypeVar("Kind")


class Who(msgspec.Struct, frozen=True):
    """Who changed the state, and when."""

    actor: str
    at: datetime
    note: str = ""


class ShownAlert(msgspec.Struct, frozen=True):
    """The parts of an alert that a line shows."""

    id: str
    state: str
    severity: str
    rule: str
    asset: str
    summary: str
    opened_at: datetime
    last_at: datetime
    count: int
    acknowledged: Who | None = None
    resolved: Who | None = None


class _Page(msgspec.Struct):
    alerts: list[msgspec.Raw]
    cursor: str | None = None


class AlertClient:
    """Asks the API at `url`, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, token: str | None = None) -> None:
        """With `token`, as whoever it names. Raises `InvalidInput` for a URL that is not HTTP."""
        self._api = Api(url, timeout_s, token)

    def page(self, filters: Mapping[str, str | int | None]) -> tuple[list[bytes], str | None]:
        """The JSON of each alert, newest first, and the cursor of the next page. None filters nothing."""
        query = urllib.parse.urlencode({name: value for name, value in filters.items() if value is not None})
        page = _decoded(self._api.ask("GET", f"/alerts?{query}"), _Page)
        return [bytes(alert) for alert in page.alerts], page.cursor

    def act(self, alert: str, verb: str, actor: str | None, note: str) -> bytes:
        """`ack` or `resolve`, as `actor` where no token says who; the JSON of the alert after it."""
        path = f"/alerts/{urllib.parse.quote(alert, safe='')}/{verb}"
        return self._api.ask("POST", path, msgspec.json.encode({"actor": actor, "note": note}))


def shown(alert: bytes) -> ShownAlert:
    """The parts of an alert that a line shows, from its JSON."""
    return _decoded(alert, ShownAlert)


def _decoded(document: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ApiFailed(f"the reply is none of the mesh's alerts: {error}; is --url right?") from None
