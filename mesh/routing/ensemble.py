"""The voices of several models as one voice: combined where they answered, failed where none of them did."""

from collections.abc import Sequence

import numpy as np

from mesh.routing.combine import Opinion, combine
from mesh.routing.errors import MixedOutputs
from mesh.routing.facts import labels_of
from mesh.routing.plan import Source
from mesh.routing.types import RowFailure
from mesh.routing.voices import Chunk, Voice


def join_voices(source: Source, members: Sequence[Voice], rows: np.ndarray, joined: Voice) -> np.ndarray:
    """Add to `joined` what the members of `source`, all asked about `rows`, say of them together.

    Where some members failed, the others are combined. Returns the rows whose answer lacks a member that it should
    have had.
    """
    groups: list[tuple[np.ndarray, tuple[Chunk, ...]]] = [(rows, ())]
    for member in members:
        groups = [smaller for rows_, heard in groups for smaller in _asked(member, rows_, heard)]
    partial: list[np.ndarray] = []
    for group, heard in groups:
        if not heard:
            _fail(members, group, joined)
            continue
        lacking = (
            heard[0].model != source.models[0] if source.combine == "first" else len(heard) < len(members)
        )
        if lacking:
            partial.append(group)
        try:
            joined.add(_combined(source, heard, group, joined.n))
        except MixedOutputs as mixed:
            joined.fail(group, RowFailure(joined.model, "raised", str(mixed)))
    return np.concatenate(partial) if partial else rows[:0]


def worst(failures: Sequence[RowFailure]) -> RowFailure:
    """The failure that speaks for all: the first for which trying again can help, else the last."""
    return next((failure for failure in failures if failure.kind != "raised"), failures[-1])


def _asked(
    member: Voice, rows: np.ndarray, heard: tuple[Chunk, ...]
) -> list[tuple[np.ndarray, tuple[Chunk, ...]]]:
    """`rows` in groups by what `member` said of them."""
    answered = member.answered(rows)
    groups = [(part, (*heard, chunk)) for chunk, part in member.parts(answered)] if len(answered) else []
    if len(answered) < len(rows):
        groups.append((np.setdiff1d(rows, answered, assume_unique=True), heard))
    return groups


def _fail(members: Sequence[Voice], rows: np.ndarray, joined: Voice) -> None:
    for row in rows.tolist():
        joined.fail(np.array([row], np.intp), worst([member.failures[row] for member in members]))


def _combined(source: Source, heard: tuple[Chunk, ...], rows: np.ndarray, n: int) -> Chunk:
    opinions = [_opinion(source, chunk, rows) for chunk in heard]
    outputs, confidence = combine(source.combine, opinions)
    named = heard[:1] if source.combine == "first" else heard
    return Chunk(
        n,
        rows,
        outputs,
        confidence,
        "+".join(chunk.model for chunk in named),
        "+".join(chunk.version for chunk in named),
        heard[0].facts,
    )


def _opinion(source: Source, chunk: Chunk, rows: np.ndarray) -> Opinion:
    outputs, confidence = chunk.take(rows)
    labels = None
    if source.combine == "vote" and chunk.facts is not None and chunk.facts.label is not None:
        labels = labels_of(chunk.facts.label, outputs)
    return Opinion(chunk.model, outputs, confidence, labels)
