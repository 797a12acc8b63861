"""The values of reviewing: what is asked of people, what they say. All frozen; times are epoch milliseconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from mesh.alerts import Place, Severity
from mesh.records.entry import Actor

Label = Literal["anomaly", "normal"]
LABELS: Final[tuple[Label, ...]] = get_args(Label)

Source = Literal["alert", "unsure", "audit"]
"""Why an item is there: an alert, an answer of low confidence, or chance."""

State = Literal["open", "escalated", "disputed", "decided"]
"""`escalated` and `disputed` items wait for an operator; `decided` ones have left the queue."""

QUEUED: Final[tuple[State, ...]] = ("open", "escalated", "disputed")

Action = Literal["confirm", "override", "judge", "cannot_say", "skip", "escalate", "tag", "undo"]
"""`judge` names a label without knowing what was predicted; what it comes to is told by the prediction."""

Reason = str
"""Why a person says otherwise than the mesh: a code of `QueueRules.reasons`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the mesh said of the row. `label` follows from `flagged`: whether a rule or threshold held for the row.

    `score` and `confidence` are numbers or None; `voices` are the scores of each model of an ensemble, by model.
    """

    flagged: bool
    score: float | None = None
    threshold: float | None = None
    confidence: float | None = None
    model: str = ""
    version: str = ""
    route: str = ""
    role: str = ""
    rules: str = ""
    voices: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> Label:
        """The label that was predicted."""
        return "anomaly" if self.flagged else "normal"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that people may be asked about; `subject` names it for good, so that a repeat changes nothing.

    `row_time` is the end of its window. `since` is when the condition began, of an alert. `features` are its values in the
    order of `names`. `alert` is an alert's id and `alert_rule` its rule. `inclusion` is the probability with which chance drew
    it (0 < p ≤ 1), None where it was not drawn by chance. `twice`: two people are asked.
    """

    source: Source
    subject: str
    asset: str
    row_time: int
    prediction: Prediction
    severity: Severity = "info"
    criticality: float = 1.0
    since: int | None = None
    alert: str = ""
    alert_rule: str = ""
    summary: str = ""
    names: Sequence[str] = ()
    features: Sequence[float] = ()
    place: Place | None = None
    inclusion: float | None = None
    twice: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one person's standing decision says of an item: `label` None is "cannot say"."""

    decision: str
    person: Actor
    label: Label | None
    overrides: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a person does with an item, as it was asked for.

    `label` is needed to `judge`; to `override` it defaults to the other label. `reason` is needed to override, `note` for those
    reasons that ask for one. `onset` is when the trouble began, as the person sees it.
    """

    action: Action
    label: Label | None = None
    reason: Reason | None = None
    note: str = ""
    tags: Sequence[str] = ()
    onset: int | None = None
