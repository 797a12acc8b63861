"""What is known of shadows, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mesh.engine.compared import ShadowKey

LATENCY_BOUNDS: Final = tuple(1e-4 * 1.2**step for step in range(70))
"""Upper bounds of the latency buckets in seconds, 0.1 ms to 29 s, each a fifth above the one before; one more bucket follows."""

_NONE: Final = (0,) * (len(LATENCY_BOUNDS) + 1)


@dataclass(frozen=True, slots=True)
class ShadowCounts:
    """One comparison in figures that only grow, so that those of several processes add up.

    Rows: `compared` were scored by both, `failed` raised or were not answered, `dropped` found the queue full, `disagreed` are
    compared rows whose labels differ. Scores: over `score_rows` rows that have both, sums of shadow less primary and of its
    size, and its largest size. Outputs: the same over `output_values` pairs of numbers; `incomparable` pairs have no
    difference. Latency: calls by `LATENCY_BOUNDS`, and over `timed_calls` the sum of shadow less primary in seconds.
    """

    compared: int = 0
    failed: int = 0
    dropped: int = 0
    disagreed: int = 0
    score_rows: int = 0
    score_sum: float = 0.0
    score_abs_sum: float = 0.0
    score_abs_max: float = 0.0
    output_values: int = 0
    output_abs_sum: float = 0.0
    output_abs_max: float = 0.0
    incomparable: int = 0
    timed_calls: int = 0
    seconds_sum: float = 0.0
    primary_seconds: tuple[int, ...] = _NONE
    shadow_seconds: tuple[int, ...] = _NONE

    def plus(self, other: "ShadowCounts") -> "ShadowCounts":
        """Both together."""
        joined: dict[str, object] = {}
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name.endswith("_max"):
                joined[name] = max(mine, theirs)
            elif isinstance(mine, tuple):
                joined[name] = tuple(a + b for a, b in zip(mine, theirs, strict=True))
            else:
                joined[name] = mine + theirs
        return ShadowCounts(**joined)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two said of a row; `score` is None where the model declares none."""

    model: str
    version: str
    label: object
    score: float | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row whose labels differ. `at_ms` is when it was compared, milliseconds since 1970."""

    at_ms: int
    id: str
    key: str
    primary: Side
    shadow: Side


class PairedRow(NamedTuple):
    """One row that both have scored. Scores are NaN and labels None where there is none; latencies in seconds."""

    at_ms: int
    id: str
    key: str
    primary_score: float
    shadow_score: float
    primary_label: object
    shadow_label: object
    disagree: bool
    primary_seconds: float | None
    shadow_seconds: float | None


@dataclass(frozen=True, slots=True)
class ShadowNews:
    """What one process tells: its counts since it began, and what came since it last told."""

    counts: Mapping[ShadowKey, ShadowCounts] = field(default_factory=dict)
    disagreements: Mapping[ShadowKey, Sequence[Disagreement]] = field(default_factory=dict)
    pairs: Mapping[ShadowKey, Sequence[PairedRow]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """One comparison: its counts, and its last disagreements, newest first."""

    key: ShadowKey
    counts: ShadowCounts
    disagreements: Sequence[Disagreement]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Paired rows in the order they were told. `upto` is what to ask after next; `lost` rows were forgotten unread."""

    rows: Sequence[PairedRow]
    upto: int
    lost: int
