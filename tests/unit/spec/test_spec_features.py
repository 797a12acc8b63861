"""`features.yaml`: what it declares, how its columns follow telemetry.yaml, and its mistakes by line and key."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from mesh.errors import InvalidConfig
from mesh.spec import load_features
from mesh.spec.schema import FOLDER
from mesh.stores import Tiers, digest_of
from mesh.stores.views import DAY_MS

ROOT = Path(__file__).resolve().parents[3]
SENSORS = "sensors: {temp: {}, flow: {}}\nfeatures: [mean, std]\n"


def load(folder: Path, text: str):
    (folder / "features.yaml").write_text(text)
    return load_features(folder)


def test_columns_follow_the_sensors(tmp_path):
    (tmp_path / "telemetry.yaml").write_text(SENSORS)
    view = load_features(tmp_path).views["telemetry"]
    assert view.columns == ("temp.mean", "temp.std", "flow.mean", "flow.std")
    assert view.transform == digest_of(view.columns) == "a96392d2db42dd9a"
    assert view.topic == "hyperstream.features"


def test_another_order_of_columns_is_another_transform():
    assert digest_of(("a", "b")) != digest_of(("b", "a"))


def test_everything_can_be_said(tmp_path):
    (tmp_path / "topics.yml").write_text("features: {topic: plant.features}")
    store = load(
        tmp_path,
        """
        history: s3://plant/features
        views:
          risk:
            entity: customer
            event_time: at
            created_time: made
            transform_key: code
            transform: 0123456789abcdef
            columns: [income, debts]
            ttl_s: 0.5
            tiers: {warm_after_days: 1, cold_after_days: 2, cold_period_s: 1.5, retention_days: 3, kept_windows: l.csv}
          other: {columns: [x], topic: elsewhere}
        """,
    )
    risk = store.views["risk"]
    assert (risk.entity, risk.event_time, risk.created_time, risk.transform_key) == (
        "customer",
        "at",
        "made",
        "code",
    )
    assert (risk.transform, risk.columns, risk.ttl_ms) == ("0123456789abcdef", ("income", "debts"), 500)
    assert risk.tiers == Tiers(DAY_MS, 2 * DAY_MS, 1_500, 3 * DAY_MS, "l.csv")
    assert (risk.topic, store.views["other"].topic) == ("plant.features", "elsewhere")
    assert store.address_of(risk, Path("/root")) == "s3://plant/features/risk/0123456789abcdef"


def test_a_relative_history_starts_from_the_project(tmp_path):
    store = load(tmp_path, "views: {v: {columns: [x]}}")
    assert store.address_of(store.views["v"], Path("/p")) == f"/p/store/features/v/{digest_of(['x'])}"


def test_the_shipped_file_says_the_defaults_and_fits_its_schema(tmp_path):
    text = (ROOT / "config/features.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), yaml.safe_load((FOLDER / "features.json").read_text()))
    without_a_file = load_features(tmp_path)
    assert load(tmp_path, text) == without_a_file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("views:\n  v: {columns: [a, a]}", r"features.yaml:2: views.v: columns names 'a' twice"),
        ("views:\n  v: {columns: [day]}", r":2: views.v.columns.*'day' is a column of every table"),
        (
            "views:\n  v: {columns: ['a b']}",
            r":2: views.v.columns.*a character that Delta tables do not take",
        ),
        (
            "views:\n  v:\n    tiers: {cold_after_days: 500}",
            r":3: views.v.tiers: .*must not fall, got 0, 500 and 400",
        ),
        ("views:\n  v: {transform: abc}", r":2: views.v.transform"),
        ("views:\n  v: {ttl_s: 0}", r":2: views.v.ttl_s: must be above 0, got 0"),
        ("histori: x", "unknown key; did you mean 'history'"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_fix(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "features.yml").write_text("views: {}")
    with pytest.raises(InvalidConfig, match=r"is not read: name it features.yaml"):
        load_features(tmp_path)
