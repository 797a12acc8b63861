"""What a cascade asks of its driver, and what it gives back in the end."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mesh.routing.types import Answer, Origin, Tensors


@dataclass(frozen=True, slots=True, eq=False)
class ModelCall:
    """Let `model` score these rows of the batch: intp, ascending, at least one, never asked of it before."""

    model: str
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Step:
    """Calls to make at the same time; the driver sends one `CallResult` for each, in order."""

    calls: tuple[ModelCall, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShadowCall:
    """Rows to be compared: what the primary said of them is here, what `model` says is still to be asked.

    `rows` are ascending rows of the batch; the primary's arrays hold just these. `primary_confidence` is float32 [n] or
    None. Where `model` has already answered these rows within the cascade, its outputs are in `outputs` and it need not
    be called.
    """

    model: str
    rows: np.ndarray
    route: str
    primary_outputs: Tensors
    primary_confidence: np.ndarray | None
    primary_origin: Origin
    outputs: Tensors | None = None


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """The answer, the shadow calls to offer after it, and per shadow model the rows that cannot be compared."""

    answer: Answer
    shadows: tuple[ShadowCall, ...]
    shadows_skipped: Mapping[str, int]
