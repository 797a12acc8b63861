"""The declared stages of the telemetry chain as a plan: checked for sense, in the order in which they run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter
from typing import Final, Literal

from mesh.routing.problems import KeyPath, nearest

Kind = Literal["decode", "synchronise", "denoise", "features", "detect", "score", "alert"]
Value = Literal["records", "readings", "steps", "rows", "alerts"]

KINDS: Final[Mapping[Kind, tuple[Value, Value]]] = {
    "decode": ("records", "readings"),
    "synchronise": ("readings", "steps"),
    "denoise": ("steps", "steps"),
    "features": ("steps", "rows"),
    "detect": ("rows", "rows"),
    "score": ("rows", "rows"),
    "alert": ("rows", "alerts"),
}
"""What each kind of stage takes and gives."""

FEATURE_KINDS: Final[tuple[Kind, ...]] = ("decode", "synchronise", "denoise", "features")
"""What makes features, the same ones at every level."""

Finding = tuple[KeyPath, str]
"""A key of the file, and what is wrong there."""


class Level(IntEnum):
    """How much of the chain runs. Higher levels do less, so that what matters most stays in time."""

    FULL = 0
    LIGHT = 1
    CHEAP = 2
    STORE = 3

    @property
    def label(self) -> str:
        """`L0` to `L3`."""
        return f"L{self.value}"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage. `share` is its part of the deadline, `upto` the highest level at which it runs.

    `endpoints` are those of a `score` stage: the one of the highest level that is not above the current one is asked.
    A stage that is not `required` is left out where it cannot answer in time, after `retries` more attempts.
    """

    name: str
    kind: Kind
    after: tuple[str, ...] = ()
    share: float = 0.1
    upto: Level = Level.STORE
    required: bool = True
    retries: int = 0
    endpoints: Mapping[Level, str] = field(default_factory=dict)

    def endpoint_at(self, level: Level) -> str | None:
        """Whom to ask at this level; None where nobody is."""
        known = [each for each in sorted(self.endpoints) if each <= level]
        return self.endpoints[known[-1]] if known and level <= self.upto else None


@dataclass(frozen=True, slots=True)
class LevelRules:
    """When the chain does less, and when more again.

    `behind_ms` [L1, L2, L3]: a level begins when readings have waited so long as they are read, or 95 % of the decisions of the
    last five seconds took so long. It ends after `hold_ms` in which both were less than `recover` times that.
    """

    behind_ms: tuple[int, int, int] = (1_000, 3_000, 600_000)
    recover: float = 0.5
    hold_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """The chain: its stages in the order in which they run, and its limits.

    `deadline_ms` runs from a reading's own time; `snapshot_ms` is the time between two writings of the state.
    """

    stages: tuple[StagePlan, ...]
    group: str = "hyperstream-telemetry"
    deadline_ms: int = 2_000
    batch_records: int = 2_000
    linger_ms: int = 0
    in_flight: int = 4
    snapshot_ms: int = 5_000
    late_topic: str | None = None
    levels: LevelRules = LevelRules()

    def share_until(self, name: str) -> float:
        """The part of the deadline that has passed when this stage must have ended."""
        return _shares(self.stages)[name]


DEFAULT_STAGES: Final = (
    StagePlan("decode", "decode", (), 0.1),
    StagePlan("synchronise", "synchronise", ("decode",), 0.1),
    StagePlan("denoise", "denoise", ("synchronise",), 0.1),
    StagePlan("features", "features", ("denoise",), 0.1),
    StagePlan("detect", "detect", ("features",), 0.1, Level.CHEAP),
    StagePlan("alert", "alert", ("detect",), 0.1, Level.CHEAP),
)


def in_order(stages: Sequence[StagePlan]) -> tuple[StagePlan, ...]:
    """Each stage after those that it waits for; otherwise as they were declared.

    Raises:
        ValueError: a cycle, or a stage that waits for one that there is not; `problems` says which.
    """
    by_name = {stage.name: stage for stage in stages}
    try:
        order = TopologicalSorter({stage.name: stage.after for stage in stages}).static_order()
        return tuple(by_name[name] for name in order)
    except (CycleError, KeyError) as error:
        raise ValueError(f"the stages cannot be put in order: {error.args}") from None


def problems(stages: Sequence[StagePlan]) -> list[Finding]:
    """What does not fit in these stages; none where they can run."""
    found = list(_wiring(stages))
    if found:
        return found
    return [*_single(stages), *_alone(stages), *_before_models(stages), *_late(stages)]


def _wiring(stages: Sequence[StagePlan]) -> Iterator[Finding]:
    names = {stage.name: stage for stage in stages}
    for stage in stages:
        at: KeyPath = ("stages", stage.name, "after")
        takes = KINDS[stage.kind][0]
        for name in stage.after:
            if name not in names:
                yield at, f"there is no stage '{name}'{nearest(name, names)}"
            elif KINDS[names[name].kind][1] != takes:
                gives = KINDS[names[name].kind][1]
                yield at, f"'{name}' gives {gives}, and {stage.kind} takes {takes}"
        if takes == "records" and stage.after:
            yield at, "decode reads the raw topic: it comes after nothing"
        if takes != "records" and not stage.after:
            yield at, f"say after which stage it comes: one that gives {takes}"
        if stage.kind != "alert" and len(stage.after) > 1:
            yield at, f"{stage.kind} comes after one stage, got {', '.join(stage.after)}"
    try:
        TopologicalSorter({stage.name: stage.after for stage in stages}).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # graphlib says each before the one that waits for it
        yield ("stages", circle[0], "after"), f"stages in a circle: {' after '.join(circle)}"


def _single(stages: Sequence[StagePlan]) -> Iterator[Finding]:
    for kind in ("decode", "synchronise", "features", "alert"):
        of_kind = [stage.name for stage in stages if stage.kind == kind]
        if len(of_kind) > 1:
            yield ("stages", of_kind[1]), f"there can be one {kind} stage, '{of_kind[0]}' is one already"
        elif not of_kind and kind in ("decode", "synchronise", "features"):
            yield ("stages",), f"there is no {kind} stage"


def _alone(stages: Sequence[StagePlan]) -> Iterator[Finding]:
    """What a stage says that its kind cannot be."""
    for stage in stages:
        if stage.kind == "score" and not stage.endpoints:
            yield ("stages", stage.name, "endpoints"), "say whom to ask, as {L0: NAME}"
        if stage.kind != "score" and stage.endpoints:
            yield ("stages", stage.name, "endpoints"), f"{stage.kind} asks nobody: only score has endpoints"
        if stage.kind in ("decode", "synchronise", "features") and not stage.required:
            yield (
                ("stages", stage.name, "required"),
                f"without {stage.kind} there are no features: it is required",
            )
        if stage.kind in FEATURE_KINDS and stage.upto < Level.STORE:
            yield (
                ("stages", stage.name, "upto"),
                f"features are the same at every level: {stage.kind} runs up to {Level.STORE.label}",
            )


def _before_models(stages: Sequence[StagePlan]) -> Iterator[Finding]:
    """The detector keeps state, so that it runs poll after poll, before models are waited for."""
    scores = {stage.name for stage in stages if stage.kind == "score"}
    for stage in stages:
        if stage.kind == "detect" and scores.intersection(stage.after):
            yield (
                ("stages", stage.name, "after"),
                "detect runs before models are asked: put it after features, and the score after it",
            )


def _late(stages: Sequence[StagePlan]) -> Iterator[Finding]:
    for name, share in _shares(stages).items():
        if share > 1 + 1e-9:
            reason = f"the deadline cannot be met: the shares up to here add up to {share:.0%}"
            yield ("stages", name, "share"), reason


def _shares(stages: Sequence[StagePlan]) -> dict[str, float]:
    """The shares along the longest way to each stage, its own included."""
    until: dict[str, float] = {}
    for stage in in_order(stages):
        until[stage.name] = stage.share + max((until[name] for name in stage.after), default=0.0)
    return until
