"""The rules over the mesh's HTTP API, so that every change passes the one place that checks it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from mesh.cli.api import Api, ApiFailed
from mesh.errors import InvalidConfig, MeshError

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
    """Changes rules over the API."""

    def __init__(self, api: Api) -> None:
        """`api` should wait for `CHANGE_S`."""
        self._api = api

    def change(
        self, parts: Mapping[str, tuple[Path, str]], expected_version: int | None, actor: str | None
    ) -> Changed:
        """Propose `parts`, by `routing` and `models`. Raises `RulesRefused`."""
        body: dict[str, object] = {name: text for name, (_, text) in parts.items()}
        body |= {"expected_version": expected_version}
        if actor is not None:
            body["actor"] = actor
        try:
            return msgspec.json.decode(
                self._api.ask("PUT", "/mesh/rules", msgspec.json.encode(body)), type=Changed
            )
        except ApiFailed as error:
            raise RulesRefused(_refusal(error, parts)) from None
        except msgspec.DecodeError as error:
            raise RulesRefused(f"the reply is none of the mesh's: {error}; is --url right?") from None


def _refusal(failed: ApiFailed, parts: Mapping[str, tuple[Path, str]]) -> str:
    """Every problem on a line of its own, with the file as it was given."""
    try:
        refusal = msgspec.json.decode(failed.body, type=_Refusal)
    except msgspec.DecodeError:
        return str(failed)
    if not refusal.problems:
        return refusal.error
    files = {f"{name}.yaml": str(file) for name, (file, _) in parts.items()}
    return "\n".join(
        str(InvalidConfig(files.get(one.file, one.file), one.line, one.key, one.reason))
        if one.file
        else one.reason
        for one in refusal.problems
    )
