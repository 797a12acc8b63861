"""What is looked at first. Pure.

    urgency = severity · criticality · (uncertainty + disagreement) · 2^(-time left / half-life)

The time left until an item is due enters as an exponential, so that the *order* of two items never changes while time passes:

    log2 urgency(now) = log2(severity · criticality · (uncertainty + disagreement)) - due/half-life + now/half-life
                        └──────────── the rank: fixed when the item is made ────────────────────────────┘

One index over `rank` is then the queue, at any time, and nothing starves: every item comes up once newer ones have later dues.
This is "forward decay" (G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward decay: a practical time decay model for
streaming systems", ICDE 2009).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mesh.alerts import Severity
from mesh.review.values import Candidate, Prediction

HOUR_MS: Final = 3_600_000
_LEAST: Final = 0.05
"""Uncertainty and disagreement together count at least so much: an item of which every model is sure stays in the queue."""


@dataclass(frozen=True, slots=True)
class Urgency:
    """What severities weigh and when items of each are due. Times in milliseconds."""

    weights: Mapping[Severity, float] = field(
        default_factory=lambda: {"info": 1.0, "warning": 3.0, "critical": 10.0}
    )
    due_in_ms: Mapping[Severity, int] = field(
        default_factory=lambda: {"info": 24 * HOUR_MS, "warning": 2 * HOUR_MS, "critical": HOUR_MS // 4}
    )
    half_life_ms: int = HOUR_MS

    def due(self, candidate: Candidate) -> int:
        """By when the item should be decided."""
        return candidate.row_time + self.due_in_ms[candidate.severity]

    def rank(self, candidate: Candidate) -> float:
        """The place in the queue: larger is sooner, and stays so.

        An item drawn by chance is ranked by its time alone: anything else would tell what its score was.
        """
        if candidate.source == "audit":
            return -self.due(candidate) / self.half_life_ms
        doubt = max(_LEAST, uncertainty(candidate.prediction) + disagreement(candidate.prediction))
        weight = self.weights[candidate.severity] * max(candidate.criticality, 1e-3) * doubt
        return math.log2(weight) - self.due(candidate) / self.half_life_ms

    def now(self, rank: float, now: int) -> float:
        """The urgency at a time, as it is shown; bounded, so that what is long overdue is still a number."""
        return float(2.0 ** min(60.0, rank + now / self.half_life_ms))


def uncertainty(prediction: Prediction) -> float:
    """0 to 1: one less the confidence, else how near the score is to the threshold, else one half."""
    if prediction.confidence is not None:
        return min(1.0, max(0.0, 1.0 - prediction.confidence))
    if prediction.score is not None and prediction.threshold is not None:
        return max(0.0, 1.0 - abs(prediction.score - prediction.threshold))
    return 0.5


def disagreement(prediction: Prediction) -> float:
    """0 to 1: how far apart the models' scores are; 0 where fewer than two spoke."""
    voices: Sequence[float] = list(prediction.voices.values())
    return min(1.0, max(voices) - min(voices)) if len(voices) > 1 else 0.0
