"""`review.yaml`: what people are asked about, in which order, and what they may say."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from mesh.review.plan import AnswersPlan, ReviewPlan, UnsurePlan
from mesh.review.priority import Urgency
from mesh.review.reasons import REASONS, ReasonCode
from mesh.review.rules import QueueRules
from mesh.review.sampling import AuditPlan
from mesh.routing.errors import RuleSyntaxError
from mesh.routing.when import compile_when
from mesh.spec.durations import Duration, LongerThanZero
from mesh.spec.fields import NAME_PATTERN, Count, Flag, NotNegative, Positive, Several, Strict, Text

Below1 = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, lt=1)]
UpTo1 = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
PerHour = Annotated[int, Field(strict=True, ge=0)]
Bulk = Annotated[int, Field(strict=True, ge=1, le=500)]
Waiting = Annotated[int, Field(strict=True, ge=100, le=1_000_000)]
Code = Annotated[str, Field(strict=True, pattern=NAME_PATTERN, max_length=32)]


def _condition(text: str) -> str:
    try:
        compile_when(text)
    except RuleSyntaxError as error:
        raise ValueError(str(error)) from None
    return text


class AuditEntry(Strict):
    """The random audit, from which rates are estimated."""

    share: Below1 = 0.08
    """Its share of what people are asked, 0.05 to 0.1 as a rule; 0 draws `least_per_hour` alone."""
    least_per_hour: NotNegative = 2.0
    """So many rows an hour and reader are drawn where little else is asked."""
    flagged: Below1 = 0.5
    """The part of them that is drawn among flagged rows."""
    twice: Below1 = 0.08
    """The share of all items that two people judge."""
    half_life: LongerThanZero = 3_600_000
    """How fast the estimate of traffic forgets."""


class UnsureEntry(Strict):
    """Rows that the models are unsure of."""

    confidence: UpTo1 = 0.3
    """Below it people are asked."""
    disagreement: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)] = 0.5
    """Where the models' scores lie so far apart people are asked; more than 1 switches it off."""
    per_hour: PerHour = 12
    """At most so many an hour and reader."""
    quiet: Duration = 600_000
    """An asset is asked about at most once in this time."""


class AnswersEntry(Strict):
    """Answers outside the telemetry chain."""

    stream: Flag = True
    """Whether records of the inference topic are drawn."""
    requests: Flag = True
    """Whether rows of HTTP and gRPC requests are."""
    flagged: Annotated[Text, AfterValidator(_condition)] = "score >= 0.5"
    """Which rows stand for an anomaly: a condition over `score`, `label`, `confidence` and `model`."""
    values: Annotated[int, Field(strict=True, ge=0)] = 1_024
    """Rows of more numbers are asked about, and kept, without them; 0 keeps none."""


class SeverityEntry(Strict):
    """What one severity weighs, and when its items are due."""

    weight: Positive
    """The factor of the urgency."""
    due: LongerThanZero
    """After the row."""


def _severity(weight: float, due: str) -> SeverityEntry:
    return SeverityEntry.model_validate({"weight": weight, "due": due})


class UrgencyEntry(Strict):
    """The order of the queue."""

    half_life: LongerThanZero = 3_600_000
    """An item is twice as urgent after so long."""
    info: SeverityEntry = _severity(1.0, "24h")
    """Of severity info."""
    warning: SeverityEntry = _severity(3.0, "2h")
    """Of severity warning."""
    critical: SeverityEntry = _severity(10.0, "15m")
    """Of severity critical."""

    def urgency(self) -> Urgency:
        """The same, for the rest of the mesh."""
        return Urgency(
            {"info": self.info.weight, "warning": self.warning.weight, "critical": self.critical.weight},
            {"info": self.info.due, "warning": self.warning.due, "critical": self.critical.due},
            self.half_life,
        )


class ReasonEntry(Strict):
    """Why a person says otherwise than the mesh."""

    code: Code
    """What is kept."""
    meaning: Annotated[Text, Field(max_length=60)]
    """What people read."""
    note: Flag = False
    """Whether a note must say more."""


class ReviewFile(Strict):
    """The whole file."""

    lease: LongerThanZero = 300_000
    """How long an item is held for whoever took it."""
    skip: Duration = 3_600_000
    """How long a skipped item is not offered to that person again."""
    incident: Duration = 1_800_000
    """Items of an asset that follow each other within it are one incident."""
    per_asset: Count = 3
    """Items of one asset in view, and held, at once."""
    bulk: Bulk = 500
    """Items of one bulk decision, at most."""
    waiting: Waiting = 10_000
    """Rows on their way from the stream to the queue, at most; the oldest go first."""
    audit: AuditEntry = AuditEntry()
    """The random audit."""
    unsure: UnsureEntry = UnsureEntry()
    """When the models are unsure enough to ask."""
    answers: AnswersEntry = AnswersEntry()
    """The inference topic, and requests."""
    urgency: UrgencyEntry = UrgencyEntry()
    """What comes first."""
    reasons: Several[ReasonEntry] = tuple(
        ReasonEntry(code=one.code, meaning=one.meaning, note=one.note) for one in REASONS
    )
    """Why a person may override, in the order that they are offered."""

    @model_validator(mode="after")
    def _codes_once(self) -> Self:
        codes = [one.code for one in self.reasons]
        again = sorted({code for code in codes if codes.count(code) > 1})
        if again:
            raise ValueError(f"reasons: {', '.join(again)} is there twice; codes must differ")
        return self

    def plan(self) -> ReviewPlan:
        """The same, for the rest of the mesh."""
        audit, unsure, answers = self.audit, self.unsure, self.answers
        return ReviewPlan(
            QueueRules(
                lease_ms=self.lease,
                per_asset=self.per_asset,
                audit_share=audit.share,
                skip_ms=self.skip,
                incident_ms=self.incident,
                bulk=self.bulk,
                urgency=self.urgency.urgency(),
                reasons=tuple(ReasonCode(one.code, one.meaning, one.note) for one in self.reasons),
            ),
            AuditPlan(
                share=audit.share,
                least_per_hour=audit.least_per_hour,
                flagged=audit.flagged,
                twice=audit.twice,
                half_life_ms=audit.half_life,
            ),
            UnsurePlan(unsure.confidence, unsure.disagreement, unsure.per_hour, unsure.quiet),
            AnswersPlan(answers.stream, answers.requests, compile_when(answers.flagged), answers.values),
            self.waiting,
        )
