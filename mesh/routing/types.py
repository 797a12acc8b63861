"""The values that cross every boundary of the mesh: rows in columns, what a model said, what was answered.

All are frozen. Arrays inside them are shared, not copied: treat them as read-only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Protocol

import numpy as np

from mesh.routing.calls import CallShare

Tensors = Mapping[str, np.ndarray]
"""Named arrays with the same leading dimension N. BYTES tensors are object arrays of `bytes`."""

Role = Literal["primary", "canary", "fallback"]
Variant = Literal["primary", "canary"]
FailureKind = Literal["raised", "away", "overloaded", "deadline"]
"""Why a row has no answer. `raised` is the row's own fault; the others say that trying again can help."""

_EMPTY: Final[Mapping[str, Sequence[object]]] = MappingProxyType({})
_NONE_FAILED: Final[Mapping[int, str]] = MappingProxyType({})


class Missing:
    """The value of an attribute that a row does not have; every comparison with it is false."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model, as the Open Inference Protocol states it.

    `shape` is the whole shape, batch dimension first; -1 stands for any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why tensors do not fit a signature: the input, what was expected and what came."""

    input: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"input '{self.input}': expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """N rows in columns; the unit of every interface.

    `attributes` holds only the columns that rules read, under their dotted names; a row without one holds `MISSING`.
    `keys` are explicit sticky keys; where None, the endpoint's `key:` attribute decides, else the row's id.
    """

    tensors: Tensors
    ids: Sequence[str]
    keys: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[object]] = field(default_factory=lambda: _EMPTY)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model said of the n rows of one call.

    `outputs` are arrays of n rows, `confidence` float32 [n] or None where the model has none. `failed` maps a row's
    position in the call to `ErrorClass: message`; such rows hold a filler in `outputs`, which is empty if all failed.
    """

    outputs: Tensors
    confidence: np.ndarray | None
    version: str
    failed: Mapping[int, str] = field(default_factory=lambda: _NONE_FAILED)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A model call that brought no answer through no fault of its rows: away, overloaded, or out of time."""

    kind: FailureKind
    reason: str
    retry_after_s: float | None = None


CallResult = Scored | Unreachable


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answered a row."""

    model: str
    version: str
    route: str
    role: Role


@dataclass(frozen=True, slots=True)
class RowFailure:
    """Why a row has no answer, and the model that owed it."""

    model: str
    kind: FailureKind
    reason: str
    retry_after_s: float | None = None


class Voices(Protocol):
    """The scores that the models of a cascade gave to the rows of an answer, superseded ones among them."""

    def of(self, row: int) -> Mapping[str, float]:
        """The scores of a row by model."""
        ...

    def spread(self) -> np.ndarray:
        """How far apart the scores of each row are: float64 [N], 0 where fewer than two models gave one."""
        ...

    def part(self, start: int, stop: int) -> "Voices":
        """The same of rows [start, stop)."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers for N rows, in the order they came.

    `confidence` is float32 [N] (NaN where the answering model has none) or None where no row has one. `origin_of` is
    intp [N]: the index into `origins` for each row, -1 for a failed one. `degraded` is bool [N]: the row's answer is not the one
    its routes asked for. `failed` maps row → failure. `rules` is the content hash of the table that decided.
    `voices` are there where several models scored rows; they are computed when somebody asks. `calls` are there where
    somebody traces.
    """

    outputs: Tensors
    confidence: np.ndarray | None
    origins: tuple[Origin, ...]
    origin_of: np.ndarray
    degraded: np.ndarray
    failed: Mapping[int, RowFailure]
    rules: str
    voices: Voices | None = field(default=None, compare=False, repr=False)
    calls: CallShare | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.origin_of)

    @property
    def troubled(self) -> bool:
        """Some row failed or is degraded."""
        if self.calls is not None and not self.calls[0].troubled:
            return False
        return bool(self.failed) or self.is_degraded

    @property
    def is_degraded(self) -> bool:
        """Some row's answer is not the one that its routes asked for."""
        return 1 in self.degraded.tobytes()  # asked of every answer: `any` takes fourteen times as long
