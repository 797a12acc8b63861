"""Our counters under Triton's names, so that its dashboards work. Computed when the page is read, at no cost to a request.

Source: NVIDIA Triton Inference Server, docs/user_guide/metrics.md ("Inference Request Metrics", "Latencies"). There, a model is
what clients address and an ensemble counts beside the models that it is made of; here a route table is the ensemble. Triton's
counters have no `_total`, and its times are microseconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mesh.telemetry import names
from mesh.telemetry.metric import Counter, Gauge
from mesh.telemetry.snapshot import Histograms, LabelValues, Numbers

GOOD_CODES: Final = frozenset({"200", "OK"})
_US: Final = 1e6
_MODEL: Final = ("model", "version")
_REASON: Final[Mapping[str, str]] = {"raised": "BACKEND", "away": "OTHER", "overloaded": "REJECTED",
                                     "deadline": "CANCELED"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TritonSeries:
    """One metric under Triton's name."""

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...] = _MODEL


SUCCESS: Final = TritonSeries("nv_inference_request_success", "Requests that were answered", "counter")
FAILURE: Final = TritonSeries(
    "nv_inference_request_failure", "Requests that failed, by reason", "counter", (*_MODEL, "reason")
)
COUNT: Final = TritonSeries("nv_inference_count", "Rows that a model was sent", "counter")
EXEC_COUNT: Final = TritonSeries("nv_inference_exec_count", "Batches that a model was sent", "counter")
DURATION: Final = TritonSeries(
    "nv_inference_request_duration_us", "Microseconds of requests, added up", "counter"
)
QUEUE: Final = TritonSeries(
    "nv_inference_queue_duration_us", "Microseconds that requests waited for a free call, added up", "counter"
)
COMPUTE: Final = TritonSeries(
    "nv_inference_compute_infer_duration_us", "Microseconds that replicas computed, added up", "counter"
)
PENDING: Final = TritonSeries(
    "nv_inference_pending_request_count", "Rows that wait for a free call", "gauge", ("model",)
)
SERIES: Final = (SUCCESS, FAILURE, COUNT, EXEC_COUNT, DURATION, QUEUE, COMPUTE, PENDING)

Samples = dict[LabelValues, float]
Counters = Numbers
_Sample = tuple[TritonSeries, LabelValues, float]


def triton_samples(
    counters: Counters, gauges: Counters, histograms: Histograms
) -> Iterator[tuple[TritonSeries, Samples]]:
    """Each of `SERIES` with its samples. A table's version is `1`, as the protocol says of it."""
    found: dict[TritonSeries, Samples] = {series: {} for series in SERIES}
    versions = {model: version for model, _, version in _of(counters, names.MODEL_CALLS)}
    for series, labels, value in (
        *_models(counters, gauges, histograms, versions),
        *_tables(counters, histograms, versions),
    ):
        found[series][labels] = found[series].get(labels, 0) + value
    yield from found.items()


def _models(
    counters: Counters, gauges: Counters, histograms: Histograms, versions: Mapping[str, str]
) -> Iterator[_Sample]:
    for (model, outcome, version), value in _of(counters, names.MODEL_CALLS).items():
        yield EXEC_COUNT, (model, version), value
        if outcome == "answered":
            yield SUCCESS, (model, version), value
        else:
            yield FAILURE, (model, version, _REASON.get(outcome, "OTHER")), value
    for labels, value in _of(counters, names.MODEL_ROWS).items():
        yield COUNT, labels, value
    for labels, times in histograms.get(names.MODEL_CALL_SECONDS.name, {}).items():
        yield DURATION, labels, times.total * _US
    for labels, value in _of(counters, names.MODEL_COMPUTE_SECONDS).items():
        yield COMPUTE, labels, value * _US
    for (model,), value in _of(counters, names.MODEL_QUEUE_SECONDS).items():
        yield QUEUE, (model, versions.get(model, "1")), value * _US
    for labels, value in _of(gauges, names.MODEL_WAITING_ROWS).items():
        yield PENDING, labels, value


def _tables(counters: Counters, histograms: Histograms, versions: Mapping[str, str]) -> Iterator[_Sample]:
    """Requests to tables; those to a model's own endpoint are among its calls."""
    for (endpoint, code, _), value in _of(counters, names.REQUESTS).items():
        if endpoint not in versions:
            good = code in GOOD_CODES
            labels = (endpoint, "1") if good else (endpoint, "1", "OTHER")
            yield SUCCESS if good else FAILURE, labels, value
    for (endpoint, _), times in histograms.get(names.REQUEST_SECONDS.name, {}).items():
        if endpoint not in versions:
            yield DURATION, (endpoint, "1"), times.total * _US


def _of(numbers: Counters, metric: Counter | Gauge) -> Mapping[LabelValues, float]:
    return numbers.get(metric.name, {})
