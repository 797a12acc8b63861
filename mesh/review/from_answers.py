"""Rows of answers as candidates: what the mesh said of a row, and whether that stands for an anomaly. Pure."""

from typing import Final, Protocol

import numpy as np

from mesh.alerts import Place
from mesh.review.origin import threshold_of
from mesh.review.plan import AnswersPlan
from mesh.review.values import Candidate, Prediction, Source
from mesh.routing.facts import ModelFacts, labels_of, scores_of
from mesh.routing.masks import Column
from mesh.routing.types import MISSING, Answer, Batch

_MAX_SUBJECT: Final = 512
_MAX_ASSET: Final = 256
_MAX_NAME: Final = 128
_MAX_VERSION: Final = 64


class AnswerFacts(Protocol):
    """What is asked of an engine."""

    def facts(self, model: str) -> ModelFacts | None:
        """What rules know of a model."""
        ...

    def sticky_key(self, endpoint: str) -> str | None:
        """The attribute that is the endpoint's sticky key."""
        ...


class AnswerReading:
    """Reads answers by the plan and by what the engine knows of the models. Holds no state."""

    def __init__(self, plan: AnswersPlan, engine: AnswerFacts) -> None:
        self._plan, self._engine = plan, engine
        self._threshold = threshold_of(plan.flagged.text)

    def flagged(self, answer: Answer) -> np.ndarray:
        """The rows that stand for an anomaly: bool [N], False for failed ones."""
        mask = self._plan.flagged.mask(len(answer), lambda name: self._column(name, answer))
        return mask & (answer.origin_of >= 0) if answer.failed else mask

    def candidate(
        self,
        source: Source,
        subject: str,
        endpoint: str,
        batch: Batch,
        answer: Answer,
        row: int,
        *,
        flagged: bool,
        row_time: int,
        inclusion: float | None,
        twice: bool,
        place: Place | None = None,
    ) -> Candidate:
        """One row, with its numbers where they are few enough and all there."""
        names, features = self._numbers(batch, row)
        return Candidate(
            source=source,
            subject=_kept(subject, _MAX_SUBJECT),
            asset=self.asset(endpoint, batch, row),
            row_time=row_time,
            prediction=self._prediction(answer, row, flagged=flagged),
            names=names,
            features=features,
            place=place,
            inclusion=inclusion,
            twice=twice,
        )

    def asset(self, endpoint: str, batch: Batch, row: int) -> str:
        """What the row is about: its sticky key, else its id."""
        if batch.keys is not None:
            return _kept(batch.keys[row], _MAX_ASSET)
        key = self._engine.sticky_key(endpoint)
        column = None if key is None else batch.attributes.get(key)
        if column is None or column[row] is MISSING:
            return _kept(batch.ids[row], _MAX_ASSET)
        return _kept(str(column[row]), _MAX_ASSET)

    def _prediction(self, answer: Answer, row: int, *, flagged: bool) -> Prediction:
        origin = answer.origins[int(answer.origin_of[row])]
        return Prediction(
            flagged,
            _number(self._column("score", answer), row),
            self._threshold,
            _number(answer.confidence, row),
            origin.model[:_MAX_NAME],
            origin.version[:_MAX_VERSION],
            origin.route[:_MAX_NAME],
            origin.role,
            answer.rules,
            {} if answer.voices is None else dict(answer.voices.of(row)),
        )

    def _numbers(self, batch: Batch, row: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        names: list[str] = []
        values: list[float] = []
        for name, array in batch.tensors.items():
            flat = array[row].ravel()
            if flat.dtype.kind not in "fiu" or len(values) + len(flat) > self._plan.values:
                return (), ()
            names += [name] if len(flat) == 1 else [f"{name}.{at}" for at in range(len(flat))]
            values += flat.astype(np.float64).tolist()
        return (tuple(names), tuple(values)) if np.isfinite(values).all() else ((), ())

    def _column(self, name: str, answer: Answer) -> Column:
        """A column of the answer, as rules name them; None for what answers do not have."""
        if name == "confidence":
            return answer.confidence
        if name == "model":
            return _by_origin(answer, [origin.model for origin in answer.origins])
        if name not in ("score", "label"):
            return None
        found = [self._said(name, origin.model, answer) for origin in answer.origins]
        if len(found) == 1:
            return found[0]
        if all(values is None for values in found):
            return None
        column: np.ndarray = np.full(len(answer), np.nan if name == "score" else MISSING, object)
        for at, values in enumerate(found):
            if values is not None:
                mine = answer.origin_of == at
                column[mine] = values[mine]
        return column.astype(np.float64) if name == "score" else column

    def _said(self, name: str, model: str, answer: Answer) -> np.ndarray | None:
        """Of several models that answered together, the first says how scores are read: their outputs are alike."""
        facts = self._engine.facts(model.partition("+")[0])
        if facts is None:
            return None
        if name == "score":
            return None if facts.score is None else scores_of(facts.score, answer.outputs)
        return None if facts.label is None else labels_of(facts.label, answer.outputs)


def _kept(text: str, most: int) -> str:
    """As databases take it: callers choose ids and keys."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:most]


def _by_origin(answer: Answer, values: list[str]) -> np.ndarray:
    column = np.full(len(answer), MISSING, object)
    for at, value in enumerate(values):
        column[answer.origin_of == at] = value
    return column


def _number(column: Column, row: int) -> float | None:
    value = float("nan") if column is None else float(column[row])  # type: ignore[arg-type]
    return value if np.isfinite(value) else None
