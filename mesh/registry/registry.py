"""The registry: versions that never change and aliases that move by compare-and-set.

NAME/files/SHA256              a file of some versions, by its content
NAME/versions/000001.json      a version; written once all of its files are there
NAME/aliases.json              where aliases point, and every move
NAME/tries.json                when what makes versions was last tried, also where it made none
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from mesh.errors import InvalidInput, MeshError, NotFound
from mesh.registry.audit import Audit, AuditEntry
from mesh.registry.objects import Changed, Objects, StorageFailed
from mesh.registry.version import ALIASES, Aliases, AliasName, Draft, ModelVersion, Move

MODEL_FILE: Final = "model.onnx"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION: Final = re.compile(r"([0-9]{6,18})\.json")
_TRIES: Final = 20

Kind = TypeVar("Kind")


class NotPassed(MeshError):
    """A version that failed a gate, or has no gate report, is to become champion; the message says which gate and by how much."""


class Registry:
    """Of whatever `objects` hold. Safe for several processes at once."""

    def __init__(
        self, objects: Objects, audit: Audit, clock: Callable[[], int] = lambda: int(time.time() * 1e3)
    ) -> None:
        """`clock` gives milliseconds since 1970."""
        self._objects, self._audit, self._clock = objects, audit, clock

    def names(self) -> list[str]:
        """The models that have a version."""
        return sorted({key.split("/")[0] for key in self._objects.keys("") if "/versions/" in key})

    def add(self, draft: Draft) -> ModelVersion:
        """Keep a draft under the next number. Raises `InvalidInput` for a bad name or no `model.onnx`, `StorageFailed`."""
        _check_name(draft.name)
        if MODEL_FILE not in draft.files:
            raise InvalidInput("files", f"a version of '{draft.name}' needs {MODEL_FILE}")
        digests = {name: self._keep(draft.name, data) for name, data in draft.files.items()}
        for _ in range(_TRIES):
            number = max((one for one in self.numbers(draft.name)), default=0) + 1
            made = ModelVersion(
                name=draft.name,
                number=number,
                origin=draft.origin,
                digest=digests[MODEL_FILE],
                files=digests,
                features=draft.features,
                lineage=draft.lineage,
                gates=draft.gates,
                made_at=draft.made_at,
                made_by=draft.made_by,
            )
            try:
                self._objects.put(_version_key(draft.name, number), msgspec.json.encode(made), None)
            except Changed:  # another took this number
                continue
            return made
        raise StorageFailed(f"no number could be had for a version of '{draft.name}' in {_TRIES} attempts")

    def numbers(self, name: str) -> list[int]:
        """The numbers of a model's versions, ascending; none where there is no such model. Raises `InvalidInput`."""
        _check_name(name)
        found = (
            _VERSION.fullmatch(key.rpartition("/")[2]) for key in self._objects.keys(f"{name}/versions/")
        )
        return [int(one[1]) for one in found if one]  # what else lies there is not ours

    def get(self, name: str, version: int | str) -> ModelVersion:
        """A version by its number or alias. Raises `NotFound` telling what there is."""
        _check_name(name)
        number = self._number(name, version)
        found = self._objects.get(_version_key(name, number))
        if found is None:
            there = ", ".join(map(str, self.numbers(name))) or "none"
            raise NotFound(f"'{name}' has no version {number}; there are: {there}")
        return _decoded(found.data, ModelVersion, _version_key(name, number))

    def file(self, version: ModelVersion, name: str = MODEL_FILE) -> bytes:
        """A file of a version. Raises `NotFound`, and `StorageFailed` where its bytes are not what they were."""
        digest = version.files.get(name)
        if digest is None:
            raise NotFound(
                f"'{version.name}' {version.number} has no file '{name}'; it has: {', '.join(version.files)}"
            )
        found = self._objects.get(f"{version.name}/files/{digest}")
        if found is None or hashlib.sha256(found.data).hexdigest() != digest:
            what = "is missing" if found is None else "is not what was registered"
            raise StorageFailed(f"'{version.name}' {version.number}: {name} (SHA-256 {digest}) {what}")
        return found.data

    def aliases(self, name: str) -> Aliases:
        """Where they point, and how they came there."""
        return self._aliases(name)[0]

    def move(
        self,
        name: str,
        alias: str,
        version: int,
        *,
        expected: int | None,
        actor: str,
        reason: str,
    ) -> Aliases:
        """Let an alias point at a version, if it points at `expected` now (None: nowhere).

        The version that was champion becomes `previous`, and one that was challenger stops being it, in the same write. The
        audit hears of it first: no move is unheard of, though one that was heard of may have lost a race. Raises `Changed`
        where it points elsewhere, `NotFound`, `InvalidInput` for another alias, `NotPassed` where a champion has not passed.
        """
        chosen = _alias(alias)
        target = self.get(name, version)
        if chosen == "champion" and not target.passed:
            raise NotPassed(_why_not(target))
        move = Move(chosen, expected, version, actor, self._clock(), reason)
        return self._make(name, move, f"{_shown(version)} (SHA-256 {target.digest})")

    def clear(self, name: str, alias: str, *, expected: int, actor: str, reason: str) -> Aliases:
        """Let an alias point nowhere, if it points at `expected` now.

        For the rest as `move`, so a version that was champion becomes `previous`. Raises `Changed` where it points elsewhere or
        nowhere, `InvalidInput` for another alias.
        """
        return self._make(
            name, Move(_alias(alias), expected, None, actor, self._clock(), reason), _shown(None)
        )

    def _make(self, name: str, move: Move, after: str) -> Aliases:
        """Tell the audit of a move to what it calls `after`, and make it where the alias points at `move.before`."""
        present, tag = self._aliases(name)
        where, points = f"{name}@{move.alias}", present.points.get(move.alias)
        if points != move.before:
            raise Changed(f"{where} is {_shown(points)}, not {_shown(move.before)}: look again")
        before = _shown(move.before)
        self._audit.record(AuditEntry(move.actor, "models.alias", where, before, after, move.reason, move.at))
        moved = _moved(present, move)
        self._objects.put(f"{name}/aliases.json", msgspec.json.encode(moved), tag)
        return moved

    def tries(self, name: str) -> Mapping[str, int]:
        """When (ms) each kind of work on a model was last tried, also where no version came of it. Raises `StorageFailed`."""
        return self._tries(name)[0]

    def tried(self, name: str, work: str, at: int) -> None:
        """Note a try; an older one changes nothing. Raises `InvalidInput` for a bad name, `StorageFailed`."""
        for _ in range(_TRIES):
            present, tag = self._tries(name)
            if present.get(work, at - 1) >= at:
                return
            try:
                self._objects.put(f"{name}/tries.json", msgspec.json.encode({**present, work: at}), tag)
            except Changed:  # another noted one of its own
                continue
            return
        raise StorageFailed(f"a try of '{name}' could not be noted in {_TRIES} attempts")

    def _tries(self, name: str) -> tuple[dict[str, int], str | None]:
        _check_name(name)
        found = self._objects.get(f"{name}/tries.json")
        if found is None:
            return {}, None
        return _decoded(found.data, dict[str, int], f"{name}/tries.json"), found.tag

    def _aliases(self, name: str) -> tuple[Aliases, str | None]:
        _check_name(name)
        found = self._objects.get(f"{name}/aliases.json")
        if found is None:
            return Aliases(), None
        return _decoded(found.data, Aliases, f"{name}/aliases.json"), found.tag

    def _number(self, name: str, version: int | str) -> int:
        text = str(version)
        if text.isascii() and text.isdigit():
            return int(text)
        points = self.aliases(name).points
        for alias, number in points.items():
            if alias == text:
                return number
        there = ", ".join(f"{alias} ({number})" for alias, number in points.items()) or "none"
        raise NotFound(f"'{name}' has no alias '{text}'; there are: {there}")

    def _keep(self, name: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        key = f"{name}/files/{digest}"
        try:
            self._objects.put(key, data, None)
        except Changed:  # it is there already: its name is its content
            found = self._objects.get(key)
            if found is None or found.data != data:
                raise StorageFailed(f"{key} holds other bytes than its name says") from None
        return digest


def _moved(present: Aliases, move: Move) -> Aliases:
    points = dict(present.points)
    moves = [*present.moves, move]
    if move.alias == "champion" and move.before is not None and move.before != move.after:
        moves.append(
            Move("previous", points.get("previous"), move.before, move.actor, move.at, "was champion")
        )
        points["previous"] = move.before
    if move.after is None:
        del points[move.alias]
        return Aliases(points, tuple(moves))
    points[move.alias] = move.after
    if move.alias == "champion" and points.get("challenger") == move.after:
        moves.append(Move("challenger", move.after, None, move.actor, move.at, "is champion"))
        del points["challenger"]
    return Aliases(points, tuple(moves))


def _decoded(data: bytes, kind: type[Kind], key: str) -> Kind:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise StorageFailed(f"{key} in the registry is damaged: {error}; restore it from a copy") from error


def _version_key(name: str, number: int) -> str:
    return f"{name}/versions/{number:06d}.json"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name", f"'{name}' may hold letters, digits, '.', '_' and '-' only, and begins with one of them"
        )


def _alias(text: str) -> AliasName:
    for alias in ALIASES:
        if alias == text:
            return alias
    raise InvalidInput("alias", f"'{text}' is not one of {', '.join(ALIASES)}")


def _shown(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"


def _why_not(version: ModelVersion) -> str:
    where = f"'{version.name}' {version.number} cannot become champion"
    if not version.gates:
        return f"{where}: it has no gate report"
    return f"{where}: " + "; ".join(f"{one.gate}: {one.detail}" for one in version.failures)
