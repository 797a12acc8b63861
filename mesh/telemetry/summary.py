"""What the live view shows: totals now, and rates and quantiles between two instants. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from mesh.telemetry import names
from mesh.telemetry.merge import CounterSums, HistogramSums
from mesh.telemetry.metric import Counter, Gauge, Histogram
from mesh.telemetry.quantiles import quantile
from mesh.telemetry.snapshot import HistogramValue, LabelValues


@dataclass(frozen=True, slots=True)
class Instant:
    """The merged numbers of all processes at one time, in seconds."""

    at: float
    counters: CounterSums
    gauges: CounterSums
    histograms: HistogramSums


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


def summarise(before: Instant, now: Instant) -> Summary:
    """`now` in totals, and what happened since `before`."""
    change = _Change(before, now)
    dead_letters = change.by_label(names.INGEST_DEAD_LETTERS, "reason")
    lag = now.gauges.get(names.INGEST_LAG.name)
    return Summary(
        at=now.at,
        window_s=change.seconds,
        records=change.flow(names.INGEST_RECORDS),
        answered=change.flow(names.INGEST_ANSWERED),
        dead_letters=change.flow(names.INGEST_DEAD_LETTERS),
        dead_letter_reasons={reason: flow.total for reason, flow in dead_letters.items()},
        errors=change.flow(names.INFERENCE_ERRORS),
        retries={
            reason: flow.total for reason, flow in change.by_label(names.INGEST_RETRIES, "reason").items()
        },
        gaps=change.flow(names.INGEST_GAPS).total,
        left=change.flow(names.INGEST_LEFT).total,
        lag=int(sum(lag.values())) if lag else None,
        paused={
            labels[1]: int(value) for labels, value in change.gauge(names.INGEST_PAUSED).items() if value
        },
        stream=change.latency(names.STREAM_SECONDS),
        requests=change.flow(names.REQUESTS),
        request=change.latency(names.REQUEST_SECONDS),
        pending_rows=int(sum(change.gauge(names.PENDING_ROWS).values())),
        routes=_routes(change),
        models=_models(change),
        processes=_processes(change),
        topics=_topics(change),
        chain=_chain(change),
        drift=_drift(change),
    )


class _Change:
    """What differs between two instants."""

    def __init__(self, before: Instant, now: Instant) -> None:
        self.before, self.now = before, now
        self.seconds = max(0.0, now.at - before.at)

    def flow(self, metric: Counter, labels: LabelValues | None = None) -> Flow:
        """All series of `metric`, or the one of `labels`."""
        total, earlier = (_total(instant.counters, metric, labels) for instant in (self.now, self.before))
        return Flow(int(total), (total - earlier) / self.seconds if self.seconds else 0.0)

    def by_label(self, metric: Counter, label: str) -> dict[str, Flow]:
        """Sums per value of one label."""
        position = metric.labels.index(label)
        sums: dict[str, Flow] = {}
        for labels in sorted(self.now.counters.get(metric.name, {})):
            flow, known = self.flow(metric, labels), sums.get(labels[position], Flow(0, 0.0))
            sums[labels[position]] = Flow(known.total + flow.total, known.per_s + flow.per_s)
        return sums

    def gauge(self, metric: Gauge) -> Mapping[LabelValues, float]:
        """All series of a gauge, now."""
        return self.now.gauges.get(metric.name, {})

    def observations(self, metric: Histogram, labels: LabelValues) -> Flow:
        """How many values were observed."""
        total, earlier = (
            sum(_histogram(instant.histograms, metric, labels).counts) for instant in (self.now, self.before)
        )
        return Flow(total, (total - earlier) / self.seconds if self.seconds else 0.0)

    def latency(self, metric: Histogram, labels: LabelValues | None = None) -> Latency:
        """Quantiles of what was observed between the instants, over all series or the one of `labels`."""
        since = _histogram(self.now.histograms, metric, labels) - _histogram(
            self.before.histograms, metric, labels
        )
        return Latency(quantile(0.5, metric.buckets, since), quantile(0.95, metric.buckets, since))

    def latency_of(self, metric: Histogram, first: str) -> Latency:
        """The same over every series whose first label is `first`."""
        since = _histogram_of(self.now.histograms, metric, first) - _histogram_of(
            self.before.histograms, metric, first
        )
        return Latency(quantile(0.5, metric.buckets, since), quantile(0.95, metric.buckets, since))


_NONE = Flow(0, 0.0)


def _total(sums: CounterSums, metric: Counter, labels: LabelValues | None) -> float:
    series = sums.get(metric.name, {})
    return sum(series.values()) if labels is None else series.get(labels, 0)


def _histogram(sums: HistogramSums, metric: Histogram, labels: LabelValues | None) -> HistogramValue:
    series = sums.get(metric.name, {})
    empty = HistogramValue((0,) * (len(metric.buckets) + 1), 0.0)
    return sum(series.values(), start=empty) if labels is None else series.get(labels, empty)


def _histogram_of(sums: HistogramSums, metric: Histogram, first: str) -> HistogramValue:
    empty = HistogramValue((0,) * (len(metric.buckets) + 1), 0.0)
    series = sums.get(metric.name, {})
    return sum((value for labels, value in series.items() if labels[0] == first), start=empty)


def _topics(change: _Change) -> tuple[TopicState, ...]:
    records = change.by_label(names.INGEST_RECORDS, "topic")
    answered = change.by_label(names.INGEST_ANSWERED, "topic")
    dead = change.by_label(names.INGEST_DEAD_LETTERS, "topic")
    lags = change.gauge(names.INGEST_LAG)
    found = []
    for topic in sorted(records.keys() | {labels[0] for labels in lags}):
        lag = [value for labels, value in lags.items() if labels[0] == topic]
        found.append(
            TopicState(
                topic,
                records.get(topic, _NONE),
                answered.get(topic, _NONE),
                dead.get(topic, _NONE).total,
                int(sum(lag)) if lag else None,
            )
        )
    return tuple(found)


def _chain(change: _Change) -> ChainState | None:
    level = change.gauge(names.TELEMETRY_LEVEL)
    if not level:
        return None
    stages = [labels[0] for labels in change.now.histograms.get(names.TELEMETRY_STAGE_SECONDS.name, {})]
    return ChainState(
        rows=change.flow(names.TELEMETRY_ROWS),
        late=change.flow(names.TELEMETRY_LATE).total,
        odd={kind: flow.total for kind, flow in change.by_label(names.TELEMETRY_ODD, "kind").items()},
        assets=int(sum(change.gauge(names.TELEMETRY_ASSETS).values())),
        forgotten=change.flow(names.TELEMETRY_FORGOTTEN).total,
        level=int(max(level.values())),
        left_out={
            stage: flow.total for stage, flow in change.by_label(names.TELEMETRY_LEFT_OUT, "stage").items()
        },
        alert=change.latency(names.READING_SECONDS),
        stages=tuple(
            StageState(
                stage,
                change.observations(names.TELEMETRY_STAGE_SECONDS, (stage,)),
                change.latency(names.TELEMETRY_STAGE_SECONDS, (stage,)),
            )
            for stage in stages
        ),
        alerts=_alerts(change),
    )


def _drift(change: _Change) -> tuple[DriftState, ...]:
    alarms = change.by_label(names.DRIFT_ALARMS, "stream")
    return tuple(
        DriftState(stream, mean, alarms[stream].total if stream in alarms else 0)
        for (stream,), mean in sorted(change.gauge(names.DRIFT_MEAN).items())
    )


def _alerts(change: _Change) -> tuple[AlertFlow, ...]:
    opened, digested = (
        change.now.counters.get(metric.name, {}) for metric in (names.ALERTS_OPENED, names.ALERTS_DIGESTED)
    )
    return tuple(
        AlertFlow(
            rule, severity, int(opened.get((rule, severity), 0)), int(digested.get((rule, severity), 0))
        )
        for rule, severity in sorted({*opened, *digested})
    )


def _routes(change: _Change) -> tuple[RouteRows, ...]:
    keys = sorted(change.now.counters.get(names.ROWS.name, {}))
    return tuple(
        RouteRows(endpoint, route, role, model, _sum([change.flow(names.ROWS, key) for key in versions]))
        for (endpoint, model, route, role), versions in groupby(keys, lambda key: key[:4])
    )


def _models(change: _Change) -> tuple[ModelState, ...]:
    replicas = change.gauge(names.MODEL_REPLICAS)
    calls = change.by_label(names.MODEL_CALLS, "model")
    return tuple(_model(change, name) for name in sorted({labels[0] for labels in replicas} | set(calls)))


def _model(change: _Change, name: str) -> ModelState:
    calls = [change.flow(names.MODEL_CALLS, key) for key in _keys(change, names.MODEL_CALLS, name)]
    failed = [
        change.flow(names.MODEL_CALLS, key)
        for key in _keys(change, names.MODEL_CALLS, name)
        if key[1] != "answered"
    ]
    return ModelState(
        model=name,
        replicas=int(
            sum(value for key, value in change.gauge(names.MODEL_REPLICAS).items() if key[0] == name)
        ),
        calls=_sum(calls),
        failed_calls=_sum(failed),
        rows=_sum([change.flow(names.MODEL_ROWS, key) for key in _keys(change, names.MODEL_ROWS, name)]),
        call=change.latency_of(names.MODEL_CALL_SECONDS, name),
        breaker=int(change.gauge(names.BREAKER_STATE).get((name,), 0)),
        shadow_rows={
            key[1]: change.flow(names.SHADOW_ROWS, key).total
            for key in _keys(change, names.SHADOW_ROWS, name)
        },
    )


def _keys(change: _Change, metric: Counter, model: str) -> list[LabelValues]:
    return sorted(labels for labels in change.now.counters.get(metric.name, {}) if labels[0] == model)


def _sum(flows: list[Flow]) -> Flow:
    return Flow(sum(flow.total for flow in flows), sum(flow.per_s for flow in flows))


def _processes(change: _Change) -> tuple[ProcessState, ...]:
    cpu = change.gauge(names.PROCESS_CPU)
    return tuple(
        ProcessState(labels[0], labels[1], int(resident), cpu.get(labels, 0.0))
        for labels, resident in sorted(change.gauge(names.PROCESS_MEMORY).items())
    )
