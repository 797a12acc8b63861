"""When is a training due? Time, drift and labels decide; nothing else does. **Pure**."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mesh.learning.plan import SchedulePolicy

Work = Literal["retrain", "update"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An alarm that proposes a training: of which stream, when (ms), and in words."""

    stream: str
    at: int
    summary: str


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done, and why."""

    work: Work
    reason: str


def due(
    policy: SchedulePolicy,
    now_ms: int,
    last_ms: int | None,
    proposals: Sequence[Proposal],
    update_due: bool,
) -> Due | None:
    """`last_ms` is the last training's beginning, None for never. A training is preferred to an update."""
    since = None if last_ms is None else now_ms - last_ms
    if since is None:
        return Due("retrain", "there was none yet")
    if since >= policy.every_ms:
        return Due("retrain", f"the last was {since / 3_600_000:.1f} h ago")
    fresh = [one for one in proposals if last_ms is not None and one.at > last_ms]
    if policy.on_drift and fresh and since >= policy.least_gap_ms:
        return Due("retrain", f"drift: {fresh[-1].summary}")
    if update_due:
        return Due("update", "enough new labels came")
    return None
