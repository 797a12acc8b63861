"""`pipeline.yaml`: the stages from raw telemetry to alerts, their order, their time and what may be left out."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mesh.errors import InvalidConfig
from mesh.pipeline.plan import (
    DEFAULT_STAGES,
    Kind,
    Level,
    LevelRules,
    PipelinePlan,
    StagePlan,
    in_order,
    problems,
)
from mesh.routing.problems import nearest
from mesh.spec.document import Document
from mesh.spec.fields import Count, Flag, ModelName, Name, Share, Strict, Text
from mesh.spec.problems import one_or_all, problem_at

LevelName = Literal["L0", "L1", "L2", "L3"]
_LEVELS: Final = {level.label: level for level in Level}


class StageEntry(Strict):
    """One stage, under its name in `stages:`."""

    kind: Kind
    """What it does: decode, synchronise, denoise, features, detect, score or alert."""
    after: tuple[Name, ...] = ()
    """The stages whose results it takes; decode takes the raw topic."""
    share: Share = 0.1
    """Its part of the deadline. The shares along any way through the stages add up to 1 at most."""
    upto: LevelName = "L3"
    """The highest level at which it runs."""
    required: Flag = True
    """Whether a batch waits for it. What is not required is left out where it does not answer in time."""
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 0
    """How often what is not required is tried again before it is left out."""
    endpoints: dict[LevelName, ModelName] = Field(default_factory=dict)
    """Whom a score stage asks: from each level on, an endpoint of the mesh."""

    def stage(self, name: str) -> StagePlan:
        """The same, for the rest of the mesh."""
        return StagePlan(
            name=name,
            kind=self.kind,
            after=self.after,
            share=self.share,
            upto=_LEVELS[self.upto],
            required=self.required,
            retries=self.retries,
            endpoints={_LEVELS[level]: endpoint for level, endpoint in self.endpoints.items()},
        )


class BatchEntry(Strict):
    """How much is worked on at once. Small batches and large ones give the same results."""

    records: Count = 2_000
    """The most records of a batch; it is smaller where fewer wait."""
    linger_ms: Annotated[int, Field(strict=True, ge=0, le=60_000)] = 0
    """How long a batch waits to fill: 0 streams, a second or more makes micro-batches that cost less a record."""
    in_flight: Annotated[int, Field(strict=True, ge=1, le=64)] = 4
    """Batches that may wait for models and topics at a time."""


class LevelsEntry(Strict):
    """When the chain does less."""

    behind_ms: tuple[Count, Count, Count] = (1_000, 3_000, 600_000)
    """L1, L2 and L3 begin when readings waited this long in Kafka, or decisions on them took this long."""
    recover: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.5
    """A level ends once waiting and deciding take less than this part of what began it."""
    hold_ms: Count = 10_000
    """For so long they must have done so."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if list(self.behind_ms) != sorted(set(self.behind_ms)):
            raise ValueError(f"behind_ms must grow from level to level, got {list(self.behind_ms)}")
        return self


class PipelineFile(Strict):
    """The whole file."""

    group: Text = "hyperstream-telemetry"
    """The consumer group that reads the raw topic."""
    deadline_ms: Count = 2_000
    """The time from a reading to its alert; stages get what is left of it."""
    batch: BatchEntry = BatchEntry()
    """Batches."""
    snapshot_ms: Annotated[int, Field(strict=True, ge=100)] = 5_000
    """The time between two writings of the state; what was read since is read again after a crash."""
    late_topic: Name | None = None
    """Where records go that came too late for their step; without one they are only counted."""
    levels: LevelsEntry = LevelsEntry()
    """The limits at which the chain does less, and more again."""
    stages: dict[Name, StageEntry] = Field(default_factory=dict)
    """The stages. Without any: decode, synchronise, denoise, features, detect, alert."""

    def plan(self, document: Document) -> PipelinePlan:
        """The same, for the rest of the mesh. Raises `InvalidConfig` for stages that do not fit together."""
        stages = tuple(entry.stage(name) for name, entry in self.stages.items()) or DEFAULT_STAGES
        found = [problem_at(document, path, reason) for path, reason in problems(stages)]
        if self.batch.linger_ms >= self.deadline_ms:
            reason = f"the deadline of {self.deadline_ms} ms cannot be met: a batch may wait for {self.batch.linger_ms} ms"
            found.append(problem_at(document, ("batch", "linger_ms"), reason))
        if found:
            raise one_or_all(found)
        return PipelinePlan(
            stages=in_order(stages),
            group=self.group,
            deadline_ms=self.deadline_ms,
            batch_records=self.batch.records,
            linger_ms=self.batch.linger_ms,
            in_flight=self.batch.in_flight,
            snapshot_ms=self.snapshot_ms,
            late_topic=self.late_topic,
            levels=LevelRules(self.levels.behind_ms, self.levels.recover, self.levels.hold_ms),
        )


def unknown_endpoints(document: Document, plan: PipelinePlan, known: tuple[str, ...]) -> list[InvalidConfig]:
    """Endpoints that a score stage asks and that the mesh does not have."""
    return [
        problem_at(
            document,
            ("stages", stage.name, "endpoints", level.label),
            f"the mesh has no endpoint '{name}'{nearest(name, known)}",
        )
        for stage in plan.stages
        for level, name in stage.endpoints.items()
        if name not in known
    ]
