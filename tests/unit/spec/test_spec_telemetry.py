"""`telemetry.yaml`: what it declares, what stands in for what it leaves out, and its mistakes by line and key."""

from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from mesh.signals import FEATURES
from mesh.spec import load_telemetry


def load(folder: Path, text: str):
    (folder / "telemetry.yaml").write_text(text)
    return load_telemetry(folder)


def test_a_sensor_takes_the_grids_period_and_two_and_a_half_of_it_as_tolerance(tmp_path):
    telemetry = load(tmp_path, "grid: {period_ms: 200}\nsensors: {temp: {unit: degC, low: 0, high: 100}}\n")
    (temp,) = telemetry.sensors
    assert (temp.period_ms, temp.tolerance_ms) == (200, 500)
    assert (temp.noise, temp.acceleration) == (0.2, 0.1)
    assert telemetry.features == FEATURES


def test_everything_can_be_said(tmp_path):
    telemetry = load(
        tmp_path,
        """
        grid: {period_ms: 100, lateness_ms: 50, restart_after: 5, window: 32, hop: 4}
        sensors:
          flow: {period_ms: 50, tolerance_ms: 75, group: water, denoise: [kalman, wavelet], kalman: {noise: 2, acceleration: 3}}
        features: [mean, std]
        records: {unknown_sensor: dead_letter, max_age_days: 1}
        assets: {known: [pump-7], max: 5, criticality: {pump-7: 3}}
        """,
    )
    assert telemetry.grid.window == 32
    assert telemetry.sensors[0].denoise == ("kalman", "wavelet")
    assert (telemetry.sensors[0].noise, telemetry.sensors[0].acceleration) == (2, 3)
    assert (telemetry.rules.unknown_sensor, telemetry.rules.max_age_ms) == ("dead_letter", 86_400_000)
    assert (telemetry.known_assets, telemetry.max_assets) == (frozenset({"pump-7"}), 5)


def test_without_sampling_nothing_is_held_for_longer_and_a_delta_follows_the_noise(tmp_path):
    (temp, free) = load(tmp_path, "sensors: {temp: {low: 0, high: 100}, free: {}}\n").sensors
    assert (temp.tolerance_ms, temp.delta, free.delta) == (2_500, 1.0, 0.0)


def test_with_sampling_a_reading_stands_until_the_next_heartbeat(tmp_path):
    telemetry = load(
        tmp_path,
        """
        sampling: {enabled: true, noises: 3, heartbeat_ms: 5000, hold_ms: 0}
        sensors:
          temp: {kalman: {noise: 2, acceleration: 3}}
          slow: {period_ms: 10000, delta: 0.5}
          brief: {tolerance_ms: 1200}
        """,
    )
    temp, slow, brief = telemetry.sensors
    assert (temp.tolerance_ms, temp.delta) == (6_500, 6.0)
    assert (slow.tolerance_ms, slow.delta) == (25_000, 0.5)
    assert brief.tolerance_ms == 1_200
    assert (telemetry.sampling.enabled, telemetry.sampling.heartbeat_ms, telemetry.sampling.hold_ms) == (
        True,
        5_000,
        0,
    )


def test_without_a_file_there_are_no_sensors(tmp_path):
    assert load_telemetry(tmp_path).sensors == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sensors:\n  t: {low: 5, high: 1}",
            r"telemetry.yaml:2: sensors.t: low must be below high, got 5 and 1",
        ),
        ("sensors:\n  t: {denoise: [kalman]}", r":2: sensors.t: the kalman filter needs its noise"),
        ("sensors:\n  t: {denoise: [kalmann]}", r":2: sensors.t.denoise\[0\]: .*did you mean 'kalman'"),
        ("features: [maen]", r":1: features\[0\]: 'maen' is not a feature; did you mean 'mean'"),
        ("features: [mean, mean]", "features names one twice"),
        ("grid:\n  window: 4", r":2: grid.window: must be at least 8, got 4"),
        ("records: {unknown_sensr: flag}", "unknown key; did you mean 'unknown_sensor'"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_fix(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "telemetry.yml").write_text("sensors: {}")
    with pytest.raises(InvalidConfig, match=r"is not read: name it telemetry.yaml"):
        load_telemetry(tmp_path)
