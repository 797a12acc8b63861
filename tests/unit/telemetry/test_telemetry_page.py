"""The page of metrics says what the registry says, and every name says its unit."""

import re

import pytest

from mesh.telemetry.metric import Counter, Histogram, unit_of
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.page import FILE, metrics_page
from mesh.telemetry.triton import SERIES


def test_the_page_is_as_the_registry_says():
    assert FILE.read_text() == metrics_page(), "run: python -m mesh.telemetry.page"


def test_every_metric_is_on_the_page_once():
    page = metrics_page()
    for name in [*REGISTRY, *(series.name for series in SERIES)]:
        assert page.count(f"| `{name}` |") == 1, name


def test_names_follow_prometheus_conventions():
    for name, metric in REGISTRY.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)
        assert name.endswith("_total") == isinstance(metric, Counter), name
        if isinstance(metric, Histogram):
            assert name.endswith("_seconds")
        assert metric.help
        assert not metric.help.endswith(".")


def test_a_name_without_a_unit_is_refused():
    with pytest.raises(ValueError, match="mesh_things: the name says no unit"):
        unit_of("mesh_things")


def test_the_three_series_that_outside_dashboards_rely_on():
    found = {name: metric for name, metric in REGISTRY.items() if name.startswith("ml_")}
    assert set(found) == {
        "ml_stream_inference_latency_seconds",
        "ml_stream_inference_predictions_total",
        "ml_stream_inference_errors_total",
    }
    assert {metric.labels for metric in found.values()} == {("model_id",)}
