"""The values of a registry: what a version is, what it came from, how it passed, and which aliases point where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

AliasName = Literal["champion", "challenger", "previous"]
ALIASES: Final[tuple[AliasName, ...]] = ("champion", "challenger", "previous")
Outcome = Literal["passed", "failed", "unmeasured"]
Origin = Literal["retrained", "updated", "imported"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: `measured` against `limit`, both in the gate's unit; `detail` says it in words.

    `unmeasured` is a gate that had too little to measure on.
    """

    gate: str
    outcome: Outcome
    measured: float | None
    limit: float | None
    detail: str

    @property
    def passed(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.outcome == "passed"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a version was learned from.

    `labels` are ids of adjudicated labels, `offsets` for each topic-partition the first and last offset of the records that
    they were about, `window` the first and last event time (ms) of the rows. `parent` is the version that it was made from.
    """

    labels: tuple[str, ...] = ()
    offsets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    window: tuple[int, int] = (0, 0)
    rows: int = 0
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A version before it is one: `files` by name, among them `model.onnx`."""

    name: str
    origin: Origin
    files: Mapping[str, bytes]
    features: str
    lineage: Lineage
    gates: tuple[GateResult, ...]
    made_at: int
    made_by: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Never changes. `files` maps a file's name to the SHA-256 of its bytes; `digest` is that of `model.onnx`.

    `features` is the digest of the input's columns, as feature records carry it.
    """

    name: str
    number: int
    origin: Origin
    digest: str
    files: Mapping[str, str]
    features: str
    lineage: Lineage
    gates: tuple[GateResult, ...]
    made_at: int
    made_by: str

    @property
    def passed(self) -> bool:
        """Whether it has a gate report in which nothing failed."""
        return bool(self.gates) and not self.failures

    @property
    def failures(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return tuple(one for one in self.gates if one.outcome == "failed")


@dataclass(frozen=True, slots=True)
class Move:
    """An alias went from one version to another (None: nowhere), by whom, when (ms) and why."""

    alias: AliasName
    before: int | None
    after: int | None
    actor: str
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Aliases:
    """Where each alias points, and every move so far; both are one object, so no move is without its entry."""

    points: Mapping[AliasName, int] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()

    def of(self, number: int) -> tuple[AliasName, ...]:
        """The aliases of a version."""
        return tuple(alias for alias in ALIASES if self.points.get(alias) == number)
