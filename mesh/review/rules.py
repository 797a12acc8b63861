"""How the queue behaves: one frozen value, so that tests, benchmarks and the API run the same rules."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mesh.review.priority import Urgency
from mesh.review.reasons import REASONS, ReasonCode

MINUTE_MS: Final = 60_000
FOREVER: Final = 2**53

Draw = Callable[[], float]
"""A number in [0, 1)."""
chance: Final[Draw] = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Times in milliseconds.

    A lease lasts `lease_ms` and may be renewed. At most `per_asset` items of an asset are in the queue's view at once.
    `audit_share` is how often the next item is one that chance drew. What was skipped does not come back to that person for
    `skip_ms`. Items of an asset that follow each other within `incident_ms` are one incident. `bulk` items at most are decided at
    once. An override names one of `reasons`.
    """

    lease_ms: int = 5 * MINUTE_MS
    per_asset: int = 3
    audit_share: float = 0.08
    skip_ms: int = 60 * MINUTE_MS
    incident_ms: int = 30 * MINUTE_MS
    bulk: int = 500
    urgency: Urgency = field(default_factory=Urgency)
    reasons: tuple[ReasonCode, ...] = REASONS


def now_ms() -> int:
    """The clock's time."""
    return time.time_ns() // 1_000_000
