"""Asking the mesh's HTTP API from the command line."""

import getpass
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Final

import msgspec

from mesh.cli import environment
from mesh.errors import InvalidInput, MeshError
from mesh.security.tls import client_context
from mesh.settings import Settings

TIMEOUT_S: Final = 10.0
_SERVE_PORT: Final = 8000


class ApiFailed(MeshError):
    """The API does not answer, or says no; the message is its own."""


class _Refusal(msgspec.Struct):
    error: str


class Api:
    """The API at `url`, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, token: str | None = None) -> None:
        """With `token`, as whoever it names. Raises `InvalidInput` for a URL that is not HTTP."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput("--url", f"'{url}' is no address; write http://HOST:PORT")
        self._url, self._timeout_s = url.rstrip("/"), timeout_s
        self._headers = asking_headers(token)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the reply; raises `ApiFailed`."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url + path, body, self._headers, method=method
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - the scheme was checked
                request, timeout=self._timeout_s, context=asking_tls(self._url)
            ) as reply:
                return bytes(reply.read())
        except urllib.error.HTTPError as error:
            raise ApiFailed(_refusal(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ApiFailed(f"nothing answers at {self._url} (--url says where): {reason}") from None


def api_at(url: str | None) -> Api:
    """The API at `url`, by default that of this machine's mesh, as whoever `MESH_TOKEN` names."""
    return Api(url or own_url(environment.settings()), token=environment.token())


def own_url(settings: Settings) -> str:
    """Where this machine's mesh answers."""
    host = "127.0.0.1" if settings.mesh_host in ("0.0.0.0", "::") else settings.mesh_host  # noqa: S104 - asked, not bound
    if settings.http_port is None:
        return f"http://{host}:{_SERVE_PORT}"
    return f"{'http' if settings.tls is None else 'https'}://{host}:{settings.http_port}"


def as_user(said: str | None) -> str | None:
    """The name to act under: the one that was `said`; None with a token, which has its own; else that of this process's user."""
    return said if said is not None or environment.token() else getpass.getuser()


def asking_headers(token: str | None = None) -> dict[str, str]:
    """Headers of a request with a JSON body, as whoever `token`, else `MESH_TOKEN`, names."""
    named = token or environment.token()
    return {"content-type": "application/json", **({"authorization": f"Bearer {named}"} if named else {})}


def asking_tls(url: str) -> ssl.SSLContext | None:
    """The context for an https URL; None for http."""
    return client_context(os.environ) if url.startswith("https:") else None


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_Refusal).error
    except (msgspec.DecodeError, OSError):
        return f"HTTP {error.code} {error.reason}"
