"""The mesh's HTTP API as one person asks it."""

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

import httpx

from serve.console.actions import Action, allowed

TIMEOUT_S: Final = 10.0
CONNECTIONS: Final = 64
_TRUST: Final = "MESH_TLS_CA"
_CERT: Final = "MESH_TLS_CLIENT_CERT"
_KEY: Final = "MESH_TLS_CLIENT_KEY"

Json = Any
"""What the API answers; docs/api.md and its OpenAPI document say the shapes."""


class Refused(Exception):
    """The API said no (`status`), or did not answer (`status` 0). The message says what failed, and is fit to be shown."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `name` and `role` as the mesh says, None where it takes them for nobody.

    `by` is token, certificate, local or nobody.
    """

    name: str | None
    role: str | None
    by: str
    token: str | None = None

    def named(self, name: str) -> "Caller":
        """The same under a name of their choice, which only the user of the mesh's own machine has."""
        return replace(self, name=name) if name and self.by == "local" else self


def client(url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client of the API at `url`, such as http://127.0.0.1:8080; threads may share it.

    With https it trusts `MESH_TLS_CA`, else the system's authorities, and shows `MESH_TLS_CLIENT_CERT` where it is set, as the
    command line does. Raises `ValueError` naming the variable whose file cannot be used.
    """
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.Client(
        base_url=url.rstrip("/"), timeout=TIMEOUT_S, limits=limits, trust_env=False, transport=transport,
        verify=_trusting(os.environ),
    )  # fmt: skip


def _trusting(environ: Mapping[str, str]) -> ssl.SSLContext:
    trusted, certificate, key = (environ.get(name, "").strip() for name in (_TRUST, _CERT, _KEY))
    try:
        context = ssl.create_default_context(cafile=trusted or None)
    except OSError as error:
        raise ValueError(
            f"{_TRUST}: {trusted} holds no certificates in PEM: {error.strerror or error}"
        ) from None
    if certificate:
        try:
            # OpenSSL would ask the terminal for a password, and wait.
            context.load_cert_chain(certificate, key or None, password=lambda: "")
        except OSError as error:
            pair = f"{certificate} and {key}" if key else certificate
            raise ValueError(
                f"{_CERT}, {_KEY}: {pair}: no certificate and its key in PEM: {error.strerror or error}"
            ) from None
    return context


def _always() -> bool:
    return True


class Mesh:
    """The API as `caller` asks it. All its methods raise `Refused`."""

    def __init__(self, http: httpx.Client, caller: Caller, present: Callable[[], bool] = _always) -> None:
        """`present` says, before anything is asked, whether whoever looks still is `caller`."""
        self._http, self.caller, self._present = http, caller, present

    def may(self, action: Action) -> bool:
        """Whether the role reaches."""
        return allowed(self.caller.role, action)

    def get(self, path: str, target: str = "", /, **params: object) -> Json:
        """What GET `path` answers, its `{}` being `target`; parameters that are None are left out."""
        asked = {name: str(value) for name, value in params.items() if value is not None}
        return self._ask("GET", _place(path, target), params=asked)

    def act(self, action: Action, target: str = "", /, **body: object) -> Json:
        """Do something, in the caller's name; None where the API has nothing to say."""
        return self._ask(
            "POST", _place(action.path, target), action.patience_s, json={"actor": self.caller.name, **body}
        )

    def _ask(self, method: str, path: str, timeout_s: float = TIMEOUT_S, **how: Any) -> Json:
        if not self._present():
            raise Refused(401, "you are signed out: load the page again to sign in")
        headers = {"authorization": f"Bearer {self.caller.token}"} if self.caller.token else {}
        try:
            reply = self._http.request(method, path, headers=headers, timeout=timeout_s, **how)
        except httpx.TimeoutException:
            raise Refused(0, f"the mesh did not answer {method} {path} within {timeout_s:.0f} s") from None
        except httpx.HTTPError as error:
            where = f"{self._http.base_url}"
            raise Refused(0, f"the mesh is not reached at {where}: {error}. Is it running?") from None
        if reply.status_code == 204:
            return None
        try:
            document = reply.json()
        except ValueError:
            raise Refused(
                reply.status_code, f"{method} {path} answered {reply.status_code} and no JSON"
            ) from None
        if reply.is_error:
            raise Refused(reply.status_code, _message(document, reply.status_code))
        return document


def whoami(http: httpx.Client, token: str | None) -> Caller:
    """Who the mesh takes the holder of `token` for. Raises `Refused`: 401 for a token that is not valid."""
    if token and not (token.isascii() and token.isprintable()):  # no header can carry it
        raise Refused(401, "that is no API token: tokens are letters, digits, - and _ alone")
    said: Mapping[str, Any] = Mesh(http, Caller(None, None, "nobody", token)).get("/whoami")
    return Caller(said.get("actor"), said.get("role"), str(said.get("by", "nobody")), token)


def _place(path: str, target: str) -> str:
    """Whatever `target` is called, it stays one part of the path."""
    return path.format(quote(target, safe=""))


def _message(document: object, status: int) -> str:
    said = document.get("error") if isinstance(document, dict) else None
    return str(said) if said else f"the mesh answered {status}"
