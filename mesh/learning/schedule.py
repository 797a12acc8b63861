"""When is a training due? Time, drift and labels decide; nothing else does. **Pure**."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from mesh.learning.plan import SchedulePolicy

Work = Literal["retrain", "update"]
WORKS: Final[tuple[Work, ...]] = ("retrain", "update")
_NEVER: Final[Mapping[Work, int]] = MappingProxyType({})


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
    tried: Mapping[Work, int] = _NEVER,
) -> Due | None:
    """`last_ms` is the last training's beginning, None for never. A training is preferred to an update.

    What was `tried` less than `least_gap_ms` ago waits, also where a gate stopped it, and leaves the other its turn.
    """
    wanted = (_training(policy, now_ms, last_ms, proposals), _update(update_due))
    return next((one for one in wanted if one is not None and _rested(one, policy, now_ms, tried)), None)


def _training(
    policy: SchedulePolicy, now_ms: int, last_ms: int | None, proposals: Sequence[Proposal]
) -> Due | None:
    if last_ms is None:
        return Due("retrain", "there was none yet")
    since = now_ms - last_ms
    if since >= policy.every_ms:
        return Due("retrain", f"the last was {since / 3_600_000:.1f} h ago")
    fresh = [one for one in proposals if one.at > last_ms]
    if policy.on_drift and fresh and since >= policy.least_gap_ms:
        return Due("retrain", f"drift: {fresh[-1].summary}")
    return None


def _update(is_due: bool) -> Due | None:
    return Due("update", "enough new labels came") if is_due else None


def _rested(wanted: Due, policy: SchedulePolicy, now_ms: int, tried: Mapping[Work, int]) -> bool:
    at = tried.get(wanted.work)
    return at is None or now_ms - at >= policy.least_gap_ms
