"""One prediction of the log, its place in it, and what of it is read. Pure.

A place is Redis' own id of a stream entry, `milliseconds-sequence` (https://redis.io/docs/latest/develop/data-types/streams/).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from mesh.errors import InvalidInput

BEGINNING: Final = "0-0"
"""The cursor before every entry."""

_CURSOR: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,10}")
_MOST: Final = (1 << 63) - 1


class Origin(msgspec.Struct, frozen=True):
    """Who answered a row."""

    model: str
    version: str = ""
    route: str = ""
    role: str = ""


class Prediction(msgspec.Struct, frozen=True):
    """One record's answer, as ingest publishes it: see `ingest.answers`. `predictions` is JSON, rows first."""

    inference_id: str
    model_id: str
    input_id: str | None = None
    predictions: Any = None
    outputs: dict[str, Any] | None = None
    confidence: list[float | None] | None = None
    answered_by: list[Origin | None] | None = None
    rules_version: str = ""
    latency_ms: float = 0.0
    received_at: str = ""
    degraded: bool = False
    metadata: Any = None


class _Head(msgspec.Struct):
    model_id: str
    inference_id: str


_decode = msgspec.json.Decoder(Prediction).decode
_head = msgspec.json.Decoder(_Head).decode


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the log and the JSON that stands there."""

    cursor: str
    document: bytes

    def model_id(self) -> str | None:
        """Whose prediction it is; None where the document is none."""
        try:
            return _head(self.document).model_id
        except msgspec.DecodeError:
            return None

    def prediction(self) -> Prediction | None:
        """What stands there; None where that is no prediction."""
        try:
            return _decode(self.document)
        except msgspec.DecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Slice:
    """Entries in the order of the log. `trimmed`: some before them, which were asked for, are gone."""

    entries: tuple[Entry, ...]
    trimmed: bool = False


def checked_cursor(cursor: str, field: str) -> str:
    """The cursor; `InvalidInput` on `field` for a text that is none."""
    if not _CURSOR.fullmatch(cursor):
        reason = f"'{cursor[:60]}' is no cursor; take one that came with a prediction, as 1764000000000-0"
        raise InvalidInput(field, reason)
    return cursor


def place(cursor: str) -> tuple[int, int]:
    """A cursor as numbers, which compare as entries follow each other."""
    milliseconds, _, sequence = cursor.partition("-")
    return int(milliseconds), int(sequence or 0)


def before_time(ms: int) -> str:
    """The cursor before all entries that were written at `ms` or later."""
    return f"{ms - 1}-{_MOST}" if ms > 0 else BEGINNING
