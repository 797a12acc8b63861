"""What a scenario may ask of each kind of fault: decisions as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

FaultKind = Literal[
    "stuck",
    "dropout",
    "drift",
    "spike",
    "noise_burst",
    "level_shift",
    "frequency_change",
    "degradation",
    "correlated",
    "unit_change",
    "missing_sensor",
    "clock_skew",
    "duplicates",
    "late",
    "flood",
]

MAX_DELAY_S: Final = 300.0
"""The latest that a record may come; what is on its way is held in memory."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    `size` is what a fault has that says none, within `low` and `high`; None where the kind has no size. `whole` kinds touch
    records, not sensors; `part` says whether a share of the records can be chosen.
    """

    size: float | None
    low: float = -1e6
    high: float = 1e6
    whole: bool = False
    part: bool = False


KINDS: Final[Mapping[FaultKind, Kind]] = MappingProxyType(
    {
        "stuck": Kind(None),
        "dropout": Kind(1.0, low=0.0, high=1.0),
        "drift": Kind(15.0),
        "spike": Kind(20.0),
        "noise_burst": Kind(6.0, low=0.0),
        "level_shift": Kind(10.0),
        "frequency_change": Kind(3.0, low=0.0, high=100.0),
        "degradation": Kind(20.0),
        "correlated": Kind(3.0),
        "unit_change": Kind(None),
        "missing_sensor": Kind(None),
        "clock_skew": Kind(30.0, low=-86_400.0, high=86_400.0, whole=True),
        "duplicates": Kind(0.5, low=0.0, high=MAX_DELAY_S, whole=True, part=True),
        "late": Kind(5.0, low=0.001, high=MAX_DELAY_S, whole=True, part=True),
        "flood": Kind(10.0, low=2.0, high=100.0, whole=True),
    }
)
