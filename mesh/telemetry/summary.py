"""What the live view shows of a mesh: totals, rates and quantiles, as values."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flow:
    """A counter: its total, and how fast it grows."""

    total: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in seconds over the window; None where nothing was observed in it."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class RouteRows:
    """Rows that one model answered for one route in one role."""

    endpoint: str
    route: str
    role: str
    model: str
    rows: Flow


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model: serving replicas, calls and rows sent, time per call, breaker (0 closed, 1 half, 2 open)."""

    model: str
    replicas: int
    calls: Flow
    failed_calls: Flow
    rows: Flow
    call: Latency
    breaker: int
    shadow_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process of the mesh."""

    process: str
    pid: str
    node: str
    resident_bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage of the telemetry chain: batches, and the time that one took."""

    stage: str
    batches: Flow
    seconds: Latency


@dataclass(frozen=True, slots=True)
class AlertFlow:
    """Alerts of one rule and severity that opened, and those past the budget, which a digest stands for."""

    rule: str
    severity: str
    opened: int
    digested: int


@dataclass(frozen=True, slots=True)
class ChainState:
    """The telemetry chain. `alert` is the time from a reading to the decision whether it alerts."""

    rows: Flow
    late: int
    odd: Mapping[str, int]
    assets: int
    forgotten: int
    level: int
    left_out: Mapping[str, int]
    alert: Latency
    stages: tuple[StageState, ...]
    alerts: tuple[AlertFlow, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftState:
    """A stream that is watched for change: its mean over the last whole stretch of time, and its alarms so far."""

    stream: str
    mean: float
    alarms: int


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic that is read: records, and those all of whose consequences are written."""

    topic: str
    records: Flow
    answered: Flow
    dead_letters: int
    lag: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The mesh in one value: `records` read, `answered` in Redis, `left` given back uncommitted."""

    at: float
    window_s: float
    records: Flow
    answered: Flow
    dead_letters: Flow
    dead_letter_reasons: Mapping[str, int]
    errors: Flow
    retries: Mapping[str, int]
    gaps: int
    left: int
    lag: int | None
    paused: Mapping[str, int]
    stream: Latency
    requests: Flow
    request: Latency
    pending_rows: int
    routes: tuple[RouteRows, ...]
    models: tuple[ModelState, ...]
    processes: tuple[ProcessState, ...]
    topics: tuple[TopicState, ...] = ()
    chain: ChainState | None = None
    drift: tuple[DriftState, ...] = ()
