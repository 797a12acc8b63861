"""Adjudicated labels: what people decided about windows, once it is settled. An override that is not adjudicated is none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["anomalous", "normal"]


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person said of an item."""

    actor: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AdjudicatedLabel:
    """What was settled about the window of `asset` that ended at `end_ms`.

    `id` names the label, `item` what was shown (an alert's or a window's id). `weight` is one over the probability with
    which the item was chosen to be shown (1 for alerts, which all are; D. Horvitz, D. Thompson, JASA 1952); `audit` marks
    those of the random audit, `flagged` those of which the mesh said "anomalous". `votes` are what each person said.
    `topic`, `partition` and `offset` are the record that closed the window. The features that were known at `shown_ms` are
    those that were judged; `decided_ms` is when it was settled. All times are milliseconds since 1970. Votes may contradict
    the verdict: who settled it may have overruled others.
    """

    id: str
    item: str
    asset: str
    end_ms: int
    verdict: Verdict
    weight: float
    votes: tuple[Vote, ...]
    topic: str
    partition: int
    offset: int
    shown_ms: int
    decided_ms: int
    audit: bool = False
    flagged: bool = True

    @property
    def actors(self) -> tuple[str, ...]:
        """Who voted, each once."""
        return tuple(dict.fromkeys(vote.actor for vote in self.votes))

    @property
    def carriers(self) -> tuple[str, ...]:
        """Those on whom the verdict rests: who said so themselves, each once."""
        return tuple(dict.fromkeys(vote.actor for vote in self.votes if vote.verdict == self.verdict))


class AdjudicatedLabels(Protocol):
    """Where settled labels are. What was undone is not among them."""

    def decided(self, start_ms: int, end_ms: int) -> Sequence[AdjudicatedLabel]:
        """Labels settled from `start_ms` until before `end_ms`, in the order of their settling."""
        ...


class MemoryLabels:
    """Labels that are here."""

    def __init__(self, labels: Iterable[AdjudicatedLabel] = ()) -> None:
        self._labels = list(labels)

    def add(self, label: AdjudicatedLabel) -> None:
        """One more."""
        self._labels.append(label)

    def undo(self, label: str) -> None:
        """The label with this id is no longer one."""
        self._labels = [one for one in self._labels if one.id != label]

    def decided(self, start_ms: int, end_ms: int) -> Sequence[AdjudicatedLabel]:
        """See `AdjudicatedLabels`."""
        found = [one for one in self._labels if start_ms <= one.decided_ms < end_ms]
        return sorted(found, key=lambda one: (one.decided_ms, one.id))
