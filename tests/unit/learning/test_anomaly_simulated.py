"""Simulated machines as windows: whose faults are measured on, and what counts as healthy beside them."""

import numpy as np

from mesh.learning.anomaly.simulated import (
    START_MS,
    Machines,
    faulty_windows,
    healthy_windows,
    parts,
    signal_scenarios,
)
from mesh.signals.sensors import Grid, Sensor, Telemetry
from mesh.simulation.scenario import Injection, RecordedFile, Scenario

TELEMETRY = Telemetry(
    (Sensor("temp", low=0, high=100), Sensor("flow", low=0, high=10)),
    Grid(window=16, hop=4),
    ("mean", "std", "coverage"),
)
SHIFT = Injection("level_shift", begins_s=40.0, lasts_s=20.0, sensors=("flow",), size=50.0)
SCENARIO = Scenario("shift", "", 100.0, (SHIFT,))


def test_half_of_the_machines_have_the_fault_and_only_their_windows_are_not_healthy() -> None:
    windows = faulty_windows(TELEMETRY, SCENARIO, Machines(8, 100), 1)
    assert len(windows.episodes) == 4
    assert all(
        (one.to_ms - one.from_ms, one.from_ms - START_MS) == (20_000, 40_000) for one in windows.episodes
    )
    spoilt = windows.take(~windows.healthy)
    assert set(spoilt.asset) == {one.asset for one in windows.episodes}
    assert spoilt.time.min() >= START_MS + 40_000
    assert spoilt.time.max() < START_MS + 60_000 + 16_000
    inside = (windows.time >= START_MS + 56_000) & (windows.time < START_MS + 60_000)
    level = windows.values[inside, 1, 0]
    assert level[windows.healthy[inside]].max() < level[~windows.healthy[inside]].min()


def test_the_same_seed_gives_the_same_windows_and_progress_is_told() -> None:
    told: list[None] = []
    machines = Machines(3, 70)
    first = healthy_windows(TELEMETRY, machines, 5, lambda: told.append(None))
    assert len(told) == parts(machines) == 3
    assert first.healthy.all()
    assert first.values.dtype == np.float32
    np.testing.assert_array_equal(healthy_windows(TELEMETRY, machines, 5).values, first.values)
    assert (healthy_windows(TELEMETRY, machines, 6).values != first.values).any()


def test_only_faults_that_reach_a_model_are_measured_on() -> None:
    said = Injection("unit_change", 1, 1, unit="degF")
    unsaid = Injection("unit_change", 2, 1)
    scenarios = {
        "shift": SCENARIO,
        "units": Scenario("units", "", 10, (said, unsaid)),
        "said": Scenario("said", "", 10, (said,)),
        "flood": Scenario("flood", "", 10, (Injection("flood", 1, 1), SHIFT)),
        "recorded": Scenario("recorded", "", 10, (SHIFT,), RecordedFile("a.csv")),
        "healthy": Scenario("healthy", "", 10),
    }
    found = signal_scenarios(scenarios)
    assert [one.name for one in found] == ["shift", "units"]
    assert found[1].injections == (unsaid,)


def test_impossible_values_are_missing_as_they_are_in_the_stream() -> None:
    mad = Injection("level_shift", begins_s=0.0, lasts_s=100.0, sensors=("flow",), size=1e6)
    windows = faulty_windows(TELEMETRY, Scenario("mad", "", 100.0, (mad,)), Machines(2, 60), 1)
    spoilt = windows.take(windows.asset == windows.episodes[0].asset)
    assert (spoilt.values[:, 1] == 0).all(), "no coverage, and nothing else of it"
    assert (spoilt.values[:, 0, 2] == 1).all()
