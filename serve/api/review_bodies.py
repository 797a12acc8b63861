"""What people send to `/review`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from mesh.review.interpret import MAX_NOTE, MAX_TAG, MAX_TAGS
from mesh.review.values import Label, Said
from serve.api.alert_views import milliseconds
from serve.api.texts import Text
from serve.api.times import Time

Name = Annotated[
    Text | None, Field(min_length=1, max_length=128, description="Who acts, where no token says so")
]
Reason = Annotated[
    str, Field(min_length=1, max_length=32, description="A code of `reasons` at GET /review/rules")
]
Note = Annotated[Text, Field(max_length=MAX_NOTE)]
Tag = Annotated[Text, Field(min_length=1, max_length=MAX_TAG)]
Chosen = Literal["confirm", "override", "judge", "cannot_say", "skip", "escalate", "tag"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The `evidence` of the case as it was shown."""

    parts: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=16)] = field(
        default_factory=list
    )
    digest: Annotated[str, Field(max_length=64)] = ""


@dataclass(frozen=True, slots=True)
class As:
    """Who acts."""

    actor: Name = None


@dataclass(frozen=True, slots=True)
class Decide:
    """What is said of an item: see docs/hil-ops.md. An item whose prediction is hidden takes `judge` with a `label`."""

    action: Chosen
    label: Label | None = None
    reason: Reason | None = None
    note: Note = ""
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = field(default_factory=list)
    onset: Annotated[Time | None, Field(description="When the trouble began, RFC 3339")] = None
    evidence: Evidence = field(default_factory=Evidence)
    actor: Name = None


@dataclass(frozen=True, slots=True)
class DecideBulk:
    """What is said of all open items of an incident."""

    incident: Annotated[Text, Field(min_length=1, max_length=64)]
    action: Literal["confirm", "override", "judge", "escalate"]
    label: Label | None = None
    reason: Reason | None = None
    note: Note = ""
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)
    actor: Name = None


@dataclass(frozen=True, slots=True)
class Undo:
    """Which decision is taken back: one's own last where none is named."""

    decision: Annotated[Text | None, Field(max_length=64)] = None
    note: Note = ""
    actor: Name = None


def said_of(body: Decide | DecideBulk) -> Said:
    """What the body says."""
    onset = body.onset if isinstance(body, Decide) else None
    return Said(
        body.action,
        body.label,
        body.reason,
        body.note,
        tuple(body.tags),
        None if onset is None else milliseconds(onset),
    )
