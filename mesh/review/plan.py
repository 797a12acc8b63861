"""How a mesh reviews, as one value: what `review.yaml` says, or its defaults."""

from dataclasses import dataclass, field
from typing import Final

from mesh.review.rules import MINUTE_MS, QueueRules
from mesh.review.sampling import AuditPlan
from mesh.routing.when import When, compile_when

FEED: Final = 10_000


@dataclass(frozen=True, slots=True)
class UnsurePlan:
    """Rows of a confidence below `confidence`, or whose models' scores lie `disagreement` apart or more.

    At most `per_hour` of a reader, no asset again within `quiet_ms`.
    """

    confidence: float = 0.3
    disagreement: float = 0.5
    per_hour: int = 12
    quiet_ms: int = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class AnswersPlan:
    """Answers outside the telemetry chain: records of the inference topic, and requests.

    `flagged` says which of their rows stand for an anomaly, as an alert does in the chain. Rows of more than `values` numbers
    are asked about without them.
    """

    stream: bool = True
    requests: bool = True
    flagged: When = field(default_factory=lambda: compile_when("score >= 0.5"))
    values: int = 1_024


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """All of it. `waiting` bounds the rows on their way from the stream to the queue."""

    queue: QueueRules = field(default_factory=QueueRules)
    audit: AuditPlan = field(default_factory=AuditPlan)
    unsure: UnsurePlan = field(default_factory=UnsurePlan)
    answers: AnswersPlan = field(default_factory=AnswersPlan)
    waiting: int = FEED
