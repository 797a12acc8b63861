"""Several models' answers for the same rows become one.

`mean`, `median`, `max`, `min` work element by element on floating-point outputs, and on the confidence where all have
one. On outputs of other types `max` and `min` compare numbers and truth values; `mean` and `median`, which would invent
labels, take a vote per element, as all four do with texts. `vote` takes the whole row of a model whose label won, and the
share of votes as confidence. `first` takes the whole row of the first model. Ties go to the model listed first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.routing.errors import MixedOutputs
from mesh.routing.routes import Combine
from mesh.routing.types import MISSING, Tensors

Schema = frozenset[tuple[str, str, tuple[int, ...]]]

_ALONG_MODELS: Final[dict[Combine, Callable[[np.ndarray], np.ndarray]]] = {
    "mean": lambda stacked: stacked.mean(axis=0, dtype=np.float64),
    "median": lambda stacked: np.median(stacked, axis=0),
    "max": lambda stacked: stacked.max(axis=0),
    "min": lambda stacked: stacked.min(axis=0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """One model's answer for n rows; `labels` [n], as `facts.labels_of` gives them, is needed for a vote only."""

    model: str
    outputs: Tensors
    confidence: np.ndarray | None
    labels: np.ndarray | None = None


def schema_of(outputs: Tensors) -> Schema:
    """Name, dtype and shape beyond the row of every output, without order."""
    return frozenset((name, array.dtype.str, array.shape[1:]) for name, array in outputs.items())


def combine(how: Combine, opinions: Sequence[Opinion]) -> tuple[Tensors, np.ndarray | None]:
    """Outputs and confidence (float32 [n] or None) of the opinions together.

    Raises `MixedOutputs` where outputs differ in name, dtype or shape, or a vote finds no labels to count.
    """
    first = opinions[0]
    if how == "first" or (len(opinions) == 1 and how != "vote"):
        return first.outputs, first.confidence
    schema = schema_of(first.outputs)
    for other in opinions[1:]:
        if schema_of(other.outputs) != schema:
            raise MixedOutputs(different(first.model, first.outputs, other.model, other.outputs))
    if how == "vote":
        return _vote(opinions)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities and NaN are the models' business
        outputs = {name: _joined(how, [each.outputs[name] for each in opinions]) for name in first.outputs}
    confidences = [opinion.confidence for opinion in opinions if opinion.confidence is not None]
    if len(confidences) < len(opinions):
        return outputs, None
    return outputs, _ALONG_MODELS[how](np.stack(confidences)).astype(np.float32)


def different(one: str, outputs: Tensors, other: str, others: Tensors) -> str:
    """Why two models' outputs cannot stand side by side."""
    return (
        f"'{one}' answers {_described(outputs)}, '{other}' answers {_described(others)}; they must be alike"
    )


def _described(outputs: Tensors) -> str:
    parts = (f"{name} {array.dtype} {['N', *array.shape[1:]]}" for name, array in sorted(outputs.items()))
    return ", ".join(parts).replace("'", "") or "nothing"


def _joined(how: Combine, arrays: list[np.ndarray]) -> np.ndarray:
    kind = arrays[0].dtype.kind
    if kind == "O" or (kind != "f" and how in ("mean", "median")):
        return _most(arrays)
    return _ALONG_MODELS[how](np.stack(arrays)).astype(arrays[0].dtype)


def _votes(ballots: np.ndarray) -> np.ndarray:
    """For each ballot, how many are like it: [models, ...]. One that is not even like itself (NaN) gets none."""
    return np.stack([np.asarray(ballots == ballot, np.bool_).sum(axis=0) for ballot in ballots])


def _most(arrays: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(arrays)
    winner = _votes(stacked).argmax(axis=0)
    return np.asarray(np.take_along_axis(stacked, winner[np.newaxis], axis=0)[0])


def _vote(opinions: Sequence[Opinion]) -> tuple[Tensors, np.ndarray]:
    for opinion in opinions:
        if opinion.labels is None:
            raise MixedOutputs(f"a vote needs labels, and '{opinion.model}' gives none")
    ballots = np.stack([np.asarray(opinion.labels) for opinion in opinions])
    votes = _votes(ballots)
    votes[ballots == MISSING] = 0
    winner = votes.argmax(axis=0)
    rows = np.arange(len(winner))
    outputs = {
        name: np.stack([opinion.outputs[name] for opinion in opinions])[winner, rows]
        for name in opinions[0].outputs
    }
    return outputs, (votes.max(axis=0) / len(opinions)).astype(np.float32)
