"""One entry of the audit log: who changed what, when, and the hash that ties it to the entry before. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh.errors import InvalidInput
from mesh.records.canonical import canonical_json
from mesh.records.roles import Role

GENESIS: Final = "0" * 64
"""What the first entry follows."""

MAX_DETAIL: Final = 64 * 1024
"""Characters of an entry's detail."""
_MAX_TEXT: Final = 512


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, in which role, by which way.

    `via` is `token:ID` (the API, with that token), `local` (the API, from the mesh's own machine), `cli` (a command that works
    on the database itself) or `mesh` (the mesh by itself).
    """

    name: str
    role: Role
    via: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be logged. `action` is ROOM.VERB (`alerts.acknowledge`), `target` is KIND:ID (`alert:5f1c`).

    `detail` is JSON: what it was before and after, a note, whatever makes the change plain. No secrets: it stays for good.
    """

    actor: Actor
    action: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A change in its place in the chain. `at` is milliseconds since 1970; hashes are 64 hexadecimal digits."""

    seq: int
    at: int
    actor: str
    role: str
    via: str
    action: str
    target: str
    detail: str
    """Canonical JSON."""
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the number of its entries and the last one's hash."""

    seq: int = 0
    hash: str = GENESIS


def following(head: Head, at: int, change: Change) -> Entry:
    """The entry of `change` after `head`. Raises `InvalidInput` for a change that cannot be written."""
    detail = canonical_json(dict(change.detail))
    if len(detail) > MAX_DETAIL:
        raise InvalidInput("detail", f"is {len(detail)} characters of JSON, the most is {MAX_DETAIL}")
    actor = change.actor
    for name, text in (("actor", actor.name), ("action", change.action), ("target", change.target)):
        if not text or len(text) > _MAX_TEXT or "\0" in text:
            raise InvalidInput(name, f"must have 1 to {_MAX_TEXT} characters, and none of them NUL")
    fields = (head.seq + 1, at, actor.name, actor.role, actor.via, change.action, change.target, detail)
    return Entry(*fields, head.hash, digest(head.hash, document(*fields)))


def document(
    seq: int, at: int, actor: str, role: str, via: str, action: str, target: str, detail: str
) -> str:
    """The canonical JSON of an entry without its hashes; `detail` is canonical already."""
    return (
        f'{{"action":{canonical_json(action)},"actor":{canonical_json(actor)},"at":{at},"detail":{detail},'
        f'"role":{canonical_json(role)},"seq":{seq},"target":{canonical_json(target)},"via":{canonical_json(via)}}}'
    )


def document_of(entry: Entry) -> str:
    """The canonical JSON that an entry's hash is of."""
    return document(
        entry.seq, entry.at, entry.actor, entry.role, entry.via, entry.action, entry.target, entry.detail
    )


def digest(prev: str, written: str) -> str:
    """SHA-256(prev ‖ canonical JSON): `prev` as its 64 hexadecimal digits, the JSON in UTF-8."""
    return hashlib.sha256(prev.encode() + written.encode()).hexdigest()
