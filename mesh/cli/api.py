"""Asking the mesh's HTTP API from the command line."""

import getpass
import http.client
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
    """The API does not answer, or says no; the message is its own. `body` is what it said, empty where it did not answer."""

    def __init__(self, message: str, body: bytes = b"") -> None:
        super().__init__(message)
        self.body = body


class _Refusal(msgspec.Struct):
    error: str


class Api:
    """The API at `url`, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, token: str | None = None) -> None:
        """With `token`, as whoever it names. Raises `InvalidInput` for a URL that is not HTTP."""
        if not is_address(url):
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
            body = _read(error)
            raise ApiFailed(_refusal(body, f"HTTP {error.code} {error.reason}"), body) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ApiFailed(f"nothing answers at {self._url} (--url says where): {reason}") from None
        except http.client.HTTPException as error:  # such as a port where Redis listens, or a reply cut short
            raise ApiFailed(f"what answers at {self._url} is no HTTP (--url says where): {error!r}") from None


def is_address(url: str) -> bool:
    """Whether this is an address of HTTP."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or an unfinished [IPv6] address
        return False


def api_at(url: str | None, timeout_s: float = TIMEOUT_S) -> Api:
    """The API at `url`, by default that of this machine's mesh, as whoever `MESH_TOKEN` names."""
    return Api(url or own_url(environment.settings()), timeout_s, environment.token())


def own_url(settings: Settings) -> str:
    """Where this machine's mesh answers."""
    host = "127.0.0.1" if settings.mesh_host in ("0.0.0.0", "::") else settings.mesh_host  # noqa: S104 - asked, not bound
    if settings.http_port is None:
        return f"http://{host}:{_SERVE_PORT}"
    return f"{'http' if settings.tls is None else 'https'}://{host}:{settings.http_port}"


def asking_headers(token: str | None = None) -> dict[str, str]:
    """Headers of a request with a JSON body, as whoever `token`, else `MESH_TOKEN`, names."""
    named = token or environment.token()
    return {"content-type": "application/json", **({"authorization": f"Bearer {named}"} if named else {})}


def asking_tls(url: str) -> ssl.SSLContext | None:
    """The context for an https URL; None for http."""
    return client_context(os.environ) if url.startswith("https:") else None


def asking(actor: str | None) -> str | None:
    """Who asks: `actor`, else the user here; None where `MESH_TOKEN` says it."""
    return getpass.getuser() if actor is None and environment.token() is None else actor


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except OSError:
        return b""


def _refusal(body: bytes, otherwise: str) -> str:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except msgspec.DecodeError:
        return otherwise
