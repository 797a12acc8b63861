"""Why people say otherwise than the mesh."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """Why a person says otherwise than the mesh: what is kept, what people read, and whether a note must say more."""

    code: str
    meaning: str
    note: bool = False


REASONS: Final = (
    ReasonCode("sensor-fault", "Sensor fault"),
    ReasonCode("maintenance", "Maintenance"),
    ReasonCode("known-behaviour", "Known behaviour"),
    ReasonCode("too-sensitive", "Too sensitive"),
    ReasonCode("missed", "Missed by the model"),
    ReasonCode("wrong-asset", "Wrong asset"),
    ReasonCode("other", "Other", note=True),
)
