"""An engine without Ray, models in this process: for trying the stream out, for tests and for measuring it alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mesh.errors import DeadlineExceeded, NotFound, Unavailable
from mesh.routing.types import Answer, Batch, Origin, RowFailure, Signature, Tensors, Variant

Score = Callable[[Tensors], Tensors]


@dataclass(slots=True)
class LocalModel:
    """A function over tensors with its signature.

    `available` False makes every call fail as a model that is away. `raises` says for tensors which rows (places) fail by
    the model's own error.
    """

    signature: Signature
    score: Score
    version: str = "1"
    attributes: frozenset[str] = frozenset()
    available: bool = True
    raises: Callable[[Tensors], Mapping[int, str]] = field(default=lambda _tensors: {})
    calls: int = 0


class InProcessEngine:
    """Answers endpoints that are models of this process; there are no routes."""

    def __init__(self, models: Mapping[str, LocalModel]) -> None:
        self._models = models

    @property
    def endpoints(self) -> Sequence[str]:
        """The models' names."""
        return tuple(self._models)

    def signature(self, endpoint: str) -> Signature | None:
        """What the model takes and gives."""
        return self._models[endpoint].signature

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The attributes that the model was declared to read."""
        return self._models[endpoint].attributes

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N rows. Raises `NotFound`, `DeadlineExceeded`, and `Unavailable` while the model is away."""
        model = self._models.get(endpoint)
        if model is None:
            raise NotFound(f"no endpoint '{endpoint}'; there are: {', '.join(self._models)}")
        if not model.available:
            raise Unavailable(endpoint, "switched off", retry_after_s=0.01)
        if deadline is not None and deadline <= time.monotonic():
            raise DeadlineExceeded(f"the time for '{endpoint}' had run out before it was asked")
        model.calls += 1
        failed = {
            row: RowFailure(endpoint, "raised", reason) for row, reason in model.raises(batch.tensors).items()
        }
        origin_of = np.zeros(len(batch), np.intp)
        origin_of[list(failed)] = -1
        return Answer(
            outputs=model.score(batch.tensors),
            confidence=None,
            origins=(Origin(endpoint, model.version, "direct", variant or "primary"),),
            origin_of=origin_of,
            degraded=np.zeros(len(batch), bool),
            failed=failed,
            rules="",
        )
