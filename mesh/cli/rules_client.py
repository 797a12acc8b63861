"""The rules over the mesh's HTTP API, so that every change passes the one place that checks it."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from mesh.cli.api import asking_headers, asking_tls
from mesh.errors import InvalidConfig, InvalidInput, MeshError

CHANGE_S: Final = 200.0
"""A change with new models answers when they serve."""


class ShownRevision(msgspec.Struct, frozen=True):
    """The parts of a revision that are shown."""

    version: int
    rules: str


class Changed(msgspec.Struct, frozen=True):
    """What a change came to."""

    revision: ShownRevision
    changed: bool
    engines: int
    taken: int


class _Problem(msgspec.Struct):
    file: str
    line: int
    key: str
    reason: str


class _Refusal(msgspec.Struct):
    error: str
    problems: list[_Problem] = []


class RulesRefused(MeshError):
    """The mesh says no; the message is its own, with the caller's file names."""


class RulesClient:
    """Asks the API at `url`, such as http://127.0.0.1:8080."""

    def __init__(self, url: str, timeout_s: float = CHANGE_S) -> None:
        """Raises `InvalidInput` for a URL that is not HTTP."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput("--url", f"'{url}' is no address; write http://HOST:PORT")
        self._url, self._timeout_s = url.rstrip("/"), timeout_s

    def change(
        self, parts: Mapping[str, tuple[Path, str]], expected_version: int | None, actor: str | None
    ) -> Changed:
        """Propose `parts`, by `routing` and `models`. Raises `RulesRefused`."""
        body: dict[str, object] = {name: text for name, (_, text) in parts.items()}
        body |= {"actor": actor, "expected_version": expected_version}
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self._url}/mesh/rules",
            msgspec.json.encode(body),
            asking_headers(),
            method="PUT",
        )
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=self._timeout_s, context=asking_tls(self._url)
            ) as reply:
                return msgspec.json.decode(reply.read(), type=Changed)
        except urllib.error.HTTPError as error:
            raise RulesRefused(_refusal(error, parts)) from None
        except msgspec.DecodeError as error:
            raise RulesRefused(f"the reply is none of the mesh's: {error}; is --url right?") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise RulesRefused(f"nothing answers at {self._url} (--url says where): {reason}") from None


def _refusal(error: urllib.error.HTTPError, parts: Mapping[str, tuple[Path, str]]) -> str:
    """Every problem on a line of its own, with the file as it was given."""
    try:
        refusal = msgspec.json.decode(error.read(), type=_Refusal)
    except (msgspec.DecodeError, OSError):
        return f"HTTP {error.code} {error.reason}"
    if not refusal.problems:
        return refusal.error
    files = {f"{name}.yaml": str(file) for name, (file, _) in parts.items()}
    return "\n".join(
        str(InvalidConfig(files.get(one.file, one.file), one.line, one.key, one.reason))
        if one.file
        else one.reason
        for one in refusal.problems
    )
