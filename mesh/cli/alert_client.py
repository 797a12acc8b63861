"""Alerts over the mesh's HTTP API.

The API and not Redis, so that whatever changes an alert passes the one place that checks it, and so that a laptop without the
way to Redis can do it.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from mesh.errors import InvalidInput, MeshError

TIMEOUT_S: Final = 10.0

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


class ApiFailed(MeshError):
    """The API does not answer, or says no; the message is its own."""


class _Page(msgspec.Struct):
    alerts: list[msgspec.Raw]
    cursor: str | None = None


class _Refusal(msgspec.Struct):
    error: str


class AlertClient:
    """Asks the API at `url`, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, token: str | None = None) -> None:
        """With `token`, as whoever it names. Raises `InvalidInput` for a URL that is not HTTP."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput("--url", f"'{url}' is no address; write http://HOST:PORT")
        self._url, self._timeout_s = url.rstrip("/"), timeout_s
        self._headers = {"content-type": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def page(self, filters: Mapping[str, str | int | None]) -> tuple[list[bytes], str | None]:
        """The JSON of each alert, newest first, and the cursor of the next page. None filters nothing."""
        query = urllib.parse.urlencode({name: value for name, value in filters.items() if value is not None})
        page = _decoded(self._ask("GET", f"/alerts?{query}"), _Page)
        return [bytes(alert) for alert in page.alerts], page.cursor

    def act(self, alert: str, verb: str, actor: str | None, note: str) -> bytes:
        """`ack` or `resolve`, as `actor` where no token says who; the JSON of the alert after it."""
        path = f"/alerts/{urllib.parse.quote(alert, safe='')}/{verb}"
        return self._ask("POST", path, msgspec.json.encode({"actor": actor, "note": note}))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url + path, body, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:  # noqa: S310
                return bytes(reply.read())
        except urllib.error.HTTPError as error:
            raise ApiFailed(_refusal(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ApiFailed(f"nothing answers at {self._url} (--url says where): {reason}") from None


def shown(alert: bytes) -> ShownAlert:
    """The parts of an alert that a line shows, from its JSON."""
    return _decoded(alert, ShownAlert)


def _decoded(document: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ApiFailed(f"the reply is none of the mesh's alerts: {error}; is --url right?") from None


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_Refusal).error
    except (msgspec.DecodeError, OSError):
        return f"HTTP {error.code} {error.reason}"
