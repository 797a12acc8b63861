"""A summary of the mesh between two instants. Pure."""

from itertools import groupby

from mesh.telemetry import names
from mesh.telemetry.change import Change, Instant
from mesh.telemetry.metric import Counter
from mesh.telemetry.snapshot import LabelValues
from mesh.telemetry.summary import (
    AlertFlow,
    ChainState,
    DriftState,
    Flow,
    ModelState,
    ProcessState,
    RouteRows,
    StageState,
    Summary,
    TopicState,
)

_NONE = Flow(0, 0.0)


def summarise(before: Instant, now: Instant) -> Summary:
    """`now` in totals, and what happened since `before`."""
    change = Change(before, now)
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


def _topics(change: Change) -> tuple[TopicState, ...]:
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


def _chain(change: Change) -> ChainState | None:
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


def _drift(change: Change) -> tuple[DriftState, ...]:
    alarms = change.by_label(names.DRIFT_ALARMS, "stream")
    return tuple(
        DriftState(stream, mean, alarms[stream].total if stream in alarms else 0)
        for (stream,), mean in sorted(change.gauge(names.DRIFT_MEAN).items())
    )


def _alerts(change: Change) -> tuple[AlertFlow, ...]:
    opened, digested = (
        change.now.counters.get(metric.name, {}) for metric in (names.ALERTS_OPENED, names.ALERTS_DIGESTED)
    )
    return tuple(
        AlertFlow(
            rule, severity, int(opened.get((rule, severity), 0)), int(digested.get((rule, severity), 0))
        )
        for rule, severity in sorted({*opened, *digested})
    )


def _routes(change: Change) -> tuple[RouteRows, ...]:
    keys = sorted(change.now.counters.get(names.ROWS.name, {}))
    return tuple(
        RouteRows(endpoint, route, role, model, _sum([change.flow(names.ROWS, key) for key in versions]))
        for (endpoint, model, route, role), versions in groupby(keys, lambda key: key[:4])
    )


def _models(change: Change) -> tuple[ModelState, ...]:
    replicas = change.gauge(names.MODEL_REPLICAS)
    calls = change.by_label(names.MODEL_CALLS, "model")
    return tuple(_model(change, name) for name in sorted({labels[0] for labels in replicas} | set(calls)))


def _model(change: Change, name: str) -> ModelState:
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


def _keys(change: Change, metric: Counter, model: str) -> list[LabelValues]:
    return sorted(labels for labels in change.now.counters.get(metric.name, {}) if labels[0] == model)


def _sum(flows: list[Flow]) -> Flow:
    return Flow(sum(flow.total for flow in flows), sum(flow.per_s for flow in flows))


def _processes(change: Change) -> tuple[ProcessState, ...]:
    cpu = change.gauge(names.PROCESS_CPU)
    return tuple(
        ProcessState(labels[0], labels[1], labels[2], int(resident), cpu.get(labels, 0.0))
        for labels, resident in sorted(change.gauge(names.PROCESS_MEMORY).items())
    )
