"""What `learning.yaml` says, as values: what is learned from, what must hold before traffic, when, and what counts as drift."""

from dataclasses import dataclass, field

from mesh.drift import DriftPolicy

DAY_MS = 86_400_000
REVIEW = "review"
"""Labels are what people settled in this mesh."""


@dataclass(frozen=True, slots=True)
class FeedbackPolicy:
    """Whose labels count, and how.

    `people`: so many must have labelled. `most_of_one`: the largest share of the labels that may rest on one person alone.
    `agreement`: the least agreement of a person with the others (upper end of a 95 % interval), below which labels that rest on
    that person alone are left out, and the least Gwet's AC1 over all items judged twice; both need `shared` such items.
    `holdout`: the newest share of the labels, kept for the gate. `repeat`: how often a window that people called normal counts.
    """

    people: int = 2
    most_of_one: float = 0.7
    agreement: float = 0.6
    shared: int = 5
    holdout: float = 0.3
    repeat: int = 4


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """Healthy windows to keep knowing: at most `windows` of the last `days` of history, and simulated machines beside them."""

    days: int = 30
    windows: int = 20_000
    simulated: int = 0
    simulated_s: int = 300


@dataclass(frozen=True, slots=True)
class BenchmarkPolicy:
    """The frozen benchmark: the scenarios with machines of these seeds; `machines` in each and `healthy` ones for `healthy_s`."""

    seeds: tuple[int, ...] = (101,)
    machines: int = 10
    healthy: int = 20
    healthy_s: int = 900


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How much worse a candidate may be.

    `found`: mean share of faults found. `false_share`: share of healthy windows above the threshold. `labels`: balanced accuracy
    on the newest labels, of which `least_labels` are needed. `difference` and `flips`: float32 against float64, largest score
    difference and share of decisions that differ. `slower`: times the champion's median time; `latency_ms`: the most for
    `latency_rows` rows at p95. Without a champion, `least_found`, `most_false` and `least_accuracy` are the limits instead.
    """

    found: float = 0.05
    false_share: float = 0.002
    least_found: float = 0.3
    most_false: float = 0.02
    labels: float = 0.05
    least_labels: int = 20
    least_accuracy: float = 0.6
    difference: float = 1e-3
    flips: float = 0.001
    slower: float = 1.5
    latency_ms: float = 200.0
    latency_rows: int = 512


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """Light updates: every so many labels; what a false alarm and a miss cost; the most that surprise is scaled by at once."""

    labels: int = 50
    false_alarm: float = 1.0
    miss: float = 10.0
    most: float = 2.0


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """When it retrains, and with how much of a machine: a claim of `cpus`, niceness `nice`, ended after `timeout_ms`.

    `rollout` names the rollout that is started for a new challenger; None: a person starts one.
    """

    every_ms: int = DAY_MS
    on_drift: bool = True
    least_gap_ms: int = 3_600_000
    cpus: float = 0.5
    nice: int = 15
    timeout_ms: int = 3_600_000
    rollout: str | None = None


@dataclass(frozen=True, slots=True)
class LearningPlan:
    """All of the file. `model` is the name in the registry, `view` whose features it takes, `threshold` where rules alert."""

    registry: str = "store/registry"
    labels: str = REVIEW
    model: str = "telemetry-anomaly"
    view: str = "telemetry"
    threshold: float = 0.998
    seed: int = 20261127
    feedback: FeedbackPolicy = field(default_factory=FeedbackPolicy)
    replay: ReplayPolicy = field(default_factory=ReplayPolicy)
    benchmark: BenchmarkPolicy = field(default_factory=BenchmarkPolicy)
    gates: GatePolicy = field(default_factory=GatePolicy)
    update: UpdatePolicy = field(default_factory=UpdatePolicy)
    schedule: SchedulePolicy = field(default_factory=SchedulePolicy)
    drift: DriftPolicy = field(default_factory=DriftPolicy)
