"""Does the online store say what the history says? Compares the newest row of entities on both sides.

The history is read first: what is online then is at least as new, unless it was never written. So online may be ahead, which
is no fault, but missing, stale or other values are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from mesh.stores.rows import FeatureBatch, OnlineRow
from mesh.stores.views import FeatureView

Outcome = Literal["same", "ahead", "expired", "mismatch", "missing", "stale", "transform"]
OUTCOMES: Final[tuple[Outcome, ...]] = (
    "same", "ahead", "expired", "mismatch", "missing", "stale", "transform",
)  # fmt: skip
FAULTS: Final = frozenset({"mismatch", "missing", "stale", "transform"})


@dataclass(frozen=True, slots=True)
class Compared:
    """One entity: `detail` says what differs, where something does."""

    entity: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Parity:
    """All entities that were compared."""

    compared: Sequence[Compared]

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Entities by outcome, each outcome named."""
        found = Counter(one.outcome for one in self.compared)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def faults(self) -> Sequence[Compared]:
        """The entities that differ and should not."""
        return [one for one in self.compared if one.outcome in FAULTS]


def compare(view: FeatureView, offline: FeatureBatch, online: Sequence[OnlineRow | None], now: int) -> Parity:
    """N newest rows of the history against N rows of the online store; `now` in milliseconds since 1970."""
    return Parity([_one(view, offline, row, found, now) for row, found in enumerate(online)])


def _one(view: FeatureView, offline: FeatureBatch, row: int, online: OnlineRow | None, now: int) -> Compared:
    entity, time = offline.entities[row], int(offline.event_time[row])
    if online is None:
        gone = now - int(offline.created_time[row]) >= view.ttl_ms
        return Compared(entity, "expired" if gone else "missing")
    if online.transform != view.transform:
        return Compared(entity, "transform", f"online has {online.transform}, the view {view.transform}")
    if online.event_time > time:
        return Compared(entity, "ahead", f"by {online.event_time - time} ms")
    if online.event_time < time:
        return Compared(entity, "stale", f"by {time - online.event_time} ms")
    different = online.values != offline.values[row]
    if not different.any():
        return Compared(entity, "same")
    worst = int(np.argmax(np.abs(online.values - offline.values[row])))
    return Compared(
        entity,
        "mismatch",
        f"{int(different.sum())} values, most in {view.columns[worst]}: "
        f"online {online.values[worst]:g}, history {offline.values[row][worst]:g}",
    )
