"""`learning.yaml`: feedback, replay, gates, updates, schedule, drift, and where versions are kept."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mesh.drift import DriftPolicy
from mesh.learning.plan import (
    REVIEW,
    BenchmarkPolicy,
    FeedbackPolicy,
    GatePolicy,
    LearningPlan,
    ReplayPolicy,
    SchedulePolicy,
    UpdatePolicy,
)
from mesh.spec.durations import LongerThanZero
from mesh.spec.fields import Count, Flag, Name, NotNegative, Positive, Several, Share, Strict, Text

Seed = Annotated[int, Field(strict=True, ge=0)]
Margin = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
Below1 = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1)]


class FeedbackEntry(Strict):
    """Whose labels count, and how."""

    people: Count = 2
    """So many must have labelled."""
    most_of_one: Share = 0.7
    """The largest share of the labels that may rest on one person alone."""
    agreement: Margin = 0.6
    """The least agreement of a person with the others, and the least AC1 of all."""
    shared: Count = 5
    """Items judged twice before agreement is judged."""
    holdout: Below1 = 0.3
    """The newest share of the labels, kept for the gate."""
    repeat: Count = 4
    """How often a window that people called normal counts."""


class ReplayEntry(Strict):
    """Healthy windows to keep knowing."""

    days: Count = 30
    """Of so many days of history."""
    windows: Count = 20_000
    """So many windows at most."""
    simulated: Annotated[int, Field(strict=True, ge=0)] = 0
    """Simulated healthy machines beside them."""
    simulated_s: Count = 300
    """Seconds of each simulated machine."""


class BenchmarkEntry(Strict):
    """The frozen benchmark: the scenarios, with machines by seed."""

    seeds: Several[Seed] = (101,)
    """Seeds of the machines."""
    machines: Count = 10
    """Machines of each scenario, half of them with the fault."""
    healthy: Count = 20
    """Healthy machines, for false alarms."""
    healthy_s: Count = 900
    """Seconds of each healthy machine."""


class GatesEntry(Strict):
    """How much worse a candidate may be."""

    found: Margin = 0.05
    """Mean share of faults found, below the champion's."""
    false_share: Margin = 0.002
    """Share of healthy windows above the threshold, over the champion's."""
    least_found: Margin = 0.3
    """Without a champion: the least mean share of faults found."""
    most_false: Margin = 0.02
    """Without a champion: the largest share of healthy windows above the threshold."""
    labels: Margin = 0.05
    """Balanced accuracy on the newest labels, below the champion's."""
    least_labels: Count = 20
    """So many held-out labels are needed for that gate."""
    least_accuracy: Margin = 0.6
    """Without a champion: the least balanced accuracy on them."""
    difference: Positive = 1e-3
    """The largest difference of a score between float32 and float64."""
    flips: Margin = 0.001
    """The largest share of decisions that float32 changes."""
    slower: Positive = 1.5
    """The most of the champion's median time, as a factor."""
    latency_ms: Positive = 200.0
    """The most for `latency_rows` rows, at p95."""
    latency_rows: Count = 512
    """Rows of a timed call."""


class UpdateEntry(Strict):
    """Light updates of the calibration."""

    labels: Count = 50
    """New labels that make an update due."""
    false_alarm: Positive = 1.0
    """What a false alarm costs."""
    miss: Positive = 10.0
    """What a miss costs."""
    most: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=1)] = 2.0
    """The most that an update scales surprise by, up or down."""


class ScheduleEntry(Strict):
    """When it retrains, and with how much of a machine."""

    every: LongerThanZero = 86_400_000
    """Time between trainings."""
    on_drift: Flag = True
    """Whether a drift alarm makes one due earlier."""
    least_gap: LongerThanZero = 3_600_000
    """But never sooner after the last."""
    cpus: Positive = 0.5
    """What the task claims of Ray."""
    nice: Annotated[int, Field(strict=True, ge=0, le=19)] = 15
    """The niceness it runs at."""
    timeout: LongerThanZero = 3_600_000
    """After which it is ended."""
    rollout: Name | None = None
    """The file of config/rollouts that a new challenger is rolled out by; without it a person starts one."""


class DriftEntry(Strict):
    """When a change of inputs, scores or overrides counts."""

    period: LongerThanZero = 60_000
    """The stretch of time whose mean is one value."""
    delta: Below1 = 0.002
    """ADWIN's chance of a false cut at one test."""
    shift: NotNegative = 0.01
    """The change of mean that Page-Hinkley ignores, in units of the stream (0 to 1)."""
    threshold: Positive = 0.5
    """The sum of deviations at which Page-Hinkley alarms."""
    quiet: LongerThanZero = 3_600_000
    """How long a stream is silent after an alarm."""
    most_streams: Count = 64
    """Streams that are followed at most."""


class LearningFile(Strict):
    """The whole file."""

    registry: Text = "store/registry"
    """The folder of versions, or an `s3://` address."""
    labels: Text = REVIEW
    """`review`: what people settled in this mesh; else a file of adjudicated labels, a JSON object a line."""
    model: Name = "telemetry-anomaly"
    """The name of the learned model in the registry."""
    view: Name = "telemetry"
    """The view of features.yaml whose rows it takes."""
    threshold: Below1 = 0.998
    """The score from which the rules of alerts.yaml alert."""
    seed: Seed = 20261127
    """Decides splits and draws."""
    feedback: FeedbackEntry = FeedbackEntry()
    """The labels: whose count, how many must agree, which are held out."""
    replay: ReplayEntry = ReplayEntry()
    """The replay buffer of old healthy windows."""
    benchmark: BenchmarkEntry = BenchmarkEntry()
    """The frozen benchmark."""
    gates: GatesEntry = GatesEntry()
    """The margins of the gates."""
    update: UpdateEntry = UpdateEntry()
    """Light updates between trainings."""
    schedule: ScheduleEntry = ScheduleEntry()
    """When it retrains."""
    drift: DriftEntry = DriftEntry()
    """When a change counts."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.schedule.least_gap > self.schedule.every:
            raise ValueError("schedule.least_gap must not be longer than schedule.every")
        return self

    def plan(self) -> LearningPlan:
        """The same, for the rest of the mesh."""
        drift, schedule = self.drift, self.schedule
        return LearningPlan(
            registry=self.registry,
            labels=self.labels,
            model=self.model,
            view=self.view,
            threshold=self.threshold,
            seed=self.seed,
            feedback=FeedbackPolicy(**dict(self.feedback)),
            replay=ReplayPolicy(**dict(self.replay)),
            benchmark=BenchmarkPolicy(**dict(self.benchmark)),
            gates=GatePolicy(**dict(self.gates)),
            update=UpdatePolicy(**dict(self.update)),
            schedule=SchedulePolicy(
                every_ms=schedule.every,
                on_drift=schedule.on_drift,
                least_gap_ms=schedule.least_gap,
                cpus=schedule.cpus,
                nice=schedule.nice,
                timeout_ms=schedule.timeout,
                rollout=schedule.rollout,
            ),
            drift=DriftPolicy(
                period_ms=drift.period,
                delta=drift.delta,
                shift=drift.shift,
                threshold=drift.threshold,
                quiet_ms=drift.quiet,
                most_streams=drift.most_streams,
            ),
        )
