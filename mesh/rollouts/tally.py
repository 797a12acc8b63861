"""What has been seen of a rollout, as counts: small, exact over a restart, and the same in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from mesh.rollouts.plan import MetricKind
from mesh.rollouts.statistics.quantiles import Histogram

Arm = Literal["primary", "candidate"]

MAX_OPEN_WINDOWS: Final = 200_000
"""Windows that are not over yet; past it the oldest are counted as they are."""


@dataclass(frozen=True, slots=True)
class PairSeen:
    """What both said of a unit in (a part of) a window. `window` is the number of the window since 1970."""

    unit: str
    window: int
    primary: bool
    candidate: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """`hits` of `trials`: false alerts of reviewed healthy windows, overrides of decisions, failures of calls."""

    hits: int = 0
    trials: int = 0

    def plus(self, other: "Counted") -> "Counted":
        """Both together."""
        return Counted(self.hits + other.hits, self.trials + other.trials)


@dataclass(frozen=True, slots=True)
class Value:
    """The newest value of a threshold metric; `primary` where the same is known of the primary."""

    candidate: float
    primary: float | None = None


@dataclass(frozen=True, slots=True)
class Observations:
    """What came since the last look. `latencies` are milliseconds, one value a call, by arm.

    `upto_ms` is there where the feed has more than it gave: up to when it gave what there was.
    """

    pairs: tuple[PairSeen, ...] = ()
    latencies: Mapping[Arm, Histogram] = field(default_factory=dict)
    counted: Mapping[MetricKind, Mapping[Arm, Counted]] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    rows: Mapping[Arm, int] = field(default_factory=dict)
    lost: int = 0
    upto_ms: int | None = None

    def plus(self, other: "Observations") -> "Observations":
        """Both together; of two values of a metric the other's is the newer."""
        return Observations(
            pairs=(*self.pairs, *other.pairs),
            latencies=_histograms(self.latencies, other.latencies),
            counted=_counted(self.counted, other.counted),
            values={**self.values, **other.values},
            rows=_rows(self.rows, other.rows),
            lost=self.lost + other.lost,
            upto_ms=min((one.upto_ms for one in (self, other) if one.upto_ms is not None), default=None),
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """All of it so far.

    `both`, `only_primary`, `only_candidate`, `neither` count windows by who alerted in them. `open` holds windows that are not
    over: (unit, window) → (primary, candidate). Those before the number `closed` have been counted. `lost` are observations that
    were dropped before anybody counted them, or that came when their window had been: counted twice it would say too much.
    """

    both: int = 0
    only_primary: int = 0
    only_candidate: int = 0
    neither: int = 0
    latencies: Mapping[Arm, Histogram] = field(default_factory=dict)
    counted: Mapping[MetricKind, Mapping[Arm, Counted]] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    over_limit: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[Arm, int] = field(default_factory=dict)
    open: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    closed: int = 0
    lost: int = 0

    @property
    def pairs(self) -> int:
        """Windows compared."""
        return self.both + self.only_primary + self.only_candidate + self.neither

    def counts_of(self, kind: MetricKind, arm: Arm) -> Counted:
        """Hits and trials of one arm."""
        return self.counted.get(kind, {}).get(arm, Counted())

    def latency_of(self, arm: Arm) -> Histogram:
        """Milliseconds a call of one arm."""
        return self.latencies.get(arm, Histogram())

    def with_seen(self, seen: Observations, upto_ms: int, window_ms: int) -> "Tally":
        """With `seen` counted, and every window closed that ended a whole window before `upto_ms`."""
        in_time = [pair for pair in seen.pairs if pair.window >= self.closed]
        merged = replace(
            self,
            latencies=_histograms(self.latencies, seen.latencies),
            counted=_counted(self.counted, seen.counted),
            values={**self.values, **seen.values},
            rows=_rows(self.rows, seen.rows),
            open=_opened(self.open, in_time),
            lost=self.lost + seen.lost + len(seen.pairs) - len(in_time),
        )
        return merged.closed_before(upto_ms // window_ms - 1)

    def closed_before(self, before: int) -> "Tally":
        """Windows before the number `before` counted, and the oldest where too many are open."""
        ordered = sorted(self.open.items(), key=lambda item: window_of(item[0]))
        over = len(ordered) - MAX_OPEN_WINDOWS
        closed = max(self.closed, before, window_of(ordered[over - 1][0]) + 1 if over > 0 else 0)
        done = [item for item in ordered if window_of(item[0]) < closed]
        kinds = [alerts for _, alerts in done]
        return replace(
            self,
            closed=closed,
            both=self.both + kinds.count((True, True)),
            only_primary=self.only_primary + kinds.count((True, False)),
            only_candidate=self.only_candidate + kinds.count((False, True)),
            neither=self.neither + kinds.count((False, False)),
            open=dict(ordered[len(done) :]),
        )


def window_of(key: str) -> int:
    """The window's number in the key of an open window."""
    return int(key.partition(" ")[0])


def _opened(
    known: Mapping[str, tuple[bool, bool]], pairs: Iterable[PairSeen]
) -> dict[str, tuple[bool, bool]]:
    """A window alerts where any part of it does."""
    opened = dict(known)
    for pair in pairs:
        key = f"{pair.window} {pair.unit}"
        primary, candidate = opened.get(key, (False, False))
        opened[key] = (primary or pair.primary, candidate or pair.candidate)
    return opened


def _histograms(known: Mapping[Arm, Histogram], seen: Mapping[Arm, Histogram]) -> Mapping[Arm, Histogram]:
    return {
        arm: known.get(arm, Histogram()).plus(seen.get(arm, Histogram())) for arm in sorted({*known, *seen})
    }


def _rows(known: Mapping[Arm, int], seen: Mapping[Arm, int]) -> Mapping[Arm, int]:
    return {arm: known.get(arm, 0) + seen.get(arm, 0) for arm in sorted({*known, *seen})}


def _counted(
    known: Mapping[MetricKind, Mapping[Arm, Counted]], seen: Mapping[MetricKind, Mapping[Arm, Counted]]
) -> Mapping[MetricKind, Mapping[Arm, Counted]]:
    merged = {kind: dict(arms) for kind, arms in known.items()}
    for kind, arms in seen.items():
        of_kind = merged.setdefault(kind, {})
        for arm, counted in arms.items():
            of_kind[arm] = of_kind.get(arm, Counted()).plus(counted)
    return merged
