"""From what people said to what is so. Pure.

A person's decision is not yet a label. A label stands where

- one person with role operator or admin said so (of several, the strict majority), or
- at least two people of any role said the same, and nobody said otherwise.

Where analysts contradict each other, or operators are split, the item is disputed and waits for an operator. Whether an item
stays in the queue is another question: one that was to be judged twice stays until two people have, and an override by an
analyst always asks for a second person.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mesh.records.roles import includes
from mesh.review.values import Judgement, Label, State

Basis = Literal["operator", "agreement"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of the item, and the label that stands with the decisions that carry it; None and empty where none does."""

    state: State
    label: Label | None = None
    basis: Basis | None = None
    decisions: tuple[str, ...] = ()


def adjudicate(judgements: Sequence[Judgement], *, wanted: int, escalated: bool) -> Verdict:
    """What the standing judgements, one a person, come to. `wanted` people were to be asked.

    `escalated`: somebody asked for an operator; a label of an operator answers that.
    """
    senior = [one for one in judgements if one.label is not None and includes(one.person.role, "operator")]
    if senior:
        return _of_operators(judgements, senior, wanted)
    if escalated:
        return Verdict("escalated")
    labelled = [one for one in judgements if one.label is not None]
    labels = {one.label for one in labelled}
    if len(labels) > 1:
        return Verdict("disputed")
    enough = len(judgements) >= max(wanted, _needed(judgements))
    if len(labelled) >= 2:
        decisions = tuple(one.decision for one in labelled)
        return Verdict("decided" if enough else "open", labelled[0].label, "agreement", decisions)
    return Verdict("decided" if enough else "open")


def _of_operators(judgements: Sequence[Judgement], senior: Sequence[Judgement], wanted: int) -> Verdict:
    (label, votes), *_ = Counter(one.label for one in senior).most_common()
    if 2 * votes <= len(senior):
        return Verdict("disputed")
    decisions = tuple(one.decision for one in senior if one.label == label)
    state: State = "decided" if len(judgements) >= wanted else "open"
    return Verdict(state, label, "operator", decisions)


def _needed(judgements: Sequence[Judgement]) -> int:
    """How many people must have spoken: an override or a "cannot say" asks for another."""
    return 2 if any(one.overrides or one.label is None for one in judgements) else 1
