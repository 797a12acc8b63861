"""What is kept of a partition's state: beside its committed offset in Kafka, and of each asset in the store."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NOTE: Final = re.compile(r"state:(\d+):([01])")
_PARTS: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Past:
    """What Kafka knows of a partition's state: where to begin to read, and whether states were ever written."""

    resume: int
    written: bool

    def __str__(self) -> str:
        return f"state:{self.resume}:{int(self.written)}"


def past_of(note: str) -> Past | None:
    """What a note says; None where there is none."""
    found = _NOTE.fullmatch(note)
    return Past(int(found[1]), found[2] == "1") if found else None


def with_alerts(states: Mapping[str, bytes], alerts: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Each asset's state of the chain and of alerts, as one."""
    return {name: _PARTS.pack(len(state)) + state + alerts.get(name, b"") for name, state in states.items()}


def parts_of(state: bytes) -> tuple[bytes, bytes]:
    """The state of the chain and of alerts. Raises `ValueError` for bytes that are no such state."""
    if len(state) < _PARTS.size:
        raise ValueError(f"a state of {len(state)} bytes")
    ends = _PARTS.size + _PARTS.unpack_from(state)[0]
    return state[_PARTS.size : ends], state[ends:]
