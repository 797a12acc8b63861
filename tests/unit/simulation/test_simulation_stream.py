"""The same seed gives the same values, seconds join without seams, and each fault does what its name says, and only that."""

import numpy as np
import pytest

from mesh.signals import Sensor
from mesh.simulation.faults import SIGNAL_FAULTS, Fault
from mesh.simulation.machine import Fleet, typical
from mesh.simulation.stream import Simulation

SENSORS = [Sensor(f"s{i}", low=0.0, high=100.0) for i in range(4)]
FLEET = Fleet([typical(sensor, at) for at, sensor in enumerate(SENSORS)], assets=3, seed=7)
SIGMA = 0.4


def simulated(*faults, seconds=40, rate_hz=20.0, seed=7):
    """Of machine 0: times [n] and values [n, S]."""
    simulation = Simulation(FLEET, faults, rate_hz, seed)
    blocks = [simulation.second(n) for n in range(seconds)]
    mine = [block.asset == 0 for block in blocks]
    return (
        np.concatenate([block.seconds[own] for block, own in zip(blocks, mine, strict=True)]),
        np.concatenate([block.values[own] for block, own in zip(blocks, mine, strict=True)]),
    )


def fault(kind, size, sensors=(1,)):
    return Fault(kind, 0, sensors, 10.0, 30.0, size)


def change(kind, size, sensors=(1,)):
    """By how much the fault changes each value, inside and outside of its time."""
    seconds, healthy = simulated()
    _, broken = simulated(fault(kind, size, sensors))
    inside = (seconds >= 10) & (seconds < 30)
    return seconds[inside], (broken - healthy)[inside], healthy[inside], (broken - healthy)[~inside]


def test_a_second_is_the_same_whenever_it_is_made():
    one, two = Simulation(FLEET, [], 20.0, 7), Simulation(FLEET, [], 20.0, 7)
    for n in range(5):
        two.second(n)
    np.testing.assert_array_equal(one.second(5).values, two.second(5).values)
    assert not np.array_equal(Simulation(FLEET, [], 20.0, 8).second(5).values, two.second(5).values)


@pytest.mark.parametrize("rate_hz", [0.3, 1.0, 7.0, 20.0])
def test_readings_come_at_the_rate_and_without_seams(rate_hz):
    seconds, _ = simulated(rate_hz=rate_hz)
    np.testing.assert_allclose(np.diff(seconds), 1 / rate_hz, rtol=1e-9)
    assert len(seconds) == pytest.approx(40 * rate_hz, abs=1)


@pytest.mark.parametrize("kind", SIGNAL_FAULTS)
def test_a_fault_touches_its_sensor_machine_and_time_alone(kind):
    _, inside, _, outside = change(kind, 0.5 if kind == "dropout" else 5.0)
    assert not outside.any()
    others = np.delete(inside, 1, axis=1)
    assert not others.any()
    assert np.nan_to_num(inside[:, 1], nan=1.0).any()
    block = Simulation(FLEET, [fault(kind, 0.5)], 20.0, 7).second(15)
    healthy = Simulation(FLEET, [], 20.0, 7).second(15)
    np.testing.assert_array_equal(block.values[block.asset != 0], healthy.values[healthy.asset != 0])


def test_stuck_says_one_value():
    _, inside, healthy, _ = change("stuck", 0)
    assert np.ptp(inside[:, 1] + healthy[:, 1]) < 1e-9


def test_dropout_takes_a_share_of_the_readings():
    _, inside, _, _ = change("dropout", 0.3)
    assert np.isnan(inside[:, 1]).mean() == pytest.approx(0.3, abs=0.08)


def test_drift_ends_at_its_size_and_a_shift_is_at_once():
    seconds, inside, _, _ = change("drift", 10.0)
    np.testing.assert_allclose(inside[:, 1], 10.0 * SIGMA * (seconds - 10) / 20, atol=1e-9)
    _, inside, _, _ = change("level_shift", 6.0)
    np.testing.assert_allclose(inside[:, 1], 6.0 * SIGMA, atol=1e-9)


def test_spikes_are_few_and_large():
    _, inside, _, _ = change("spike", 20.0)
    jumps = np.abs(inside[:, 1]) > 0
    assert 0 < jumps.mean() < 0.06
    np.testing.assert_allclose(np.abs(inside[jumps, 1]), 20.0 * SIGMA)


def test_a_noise_burst_has_its_size():
    _, inside, _, _ = change("noise_burst", 5.0)
    assert inside[:, 1].std() == pytest.approx(5.0 * SIGMA, rel=0.15)


def test_degradation_is_slow_at_first():
    _, inside, _, _ = change("degradation", 20.0)
    size = np.abs(inside[:, 1]) / SIGMA
    assert size[: len(size) // 4].max() < 1.0
    assert size[-10:].mean() == pytest.approx(20.0, rel=0.2)


def test_a_correlated_fault_moves_sensors_against_each_other():
    _, inside, _, _ = change("correlated", 2.0, (0, 2))
    np.testing.assert_allclose(inside[-1, [0, 2]], [2.0 * SIGMA, -2.0 * SIGMA], atol=1e-9)


def test_a_faster_cycle_begins_where_the_old_one_was():
    _, inside, _, _ = change("frequency_change", 3.0)
    assert abs(inside[0, 1]) < 0.1
    assert np.abs(inside[:, 1]).max() > 1.0


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="no fault stcuk; there are: stuck"):
        Simulation(FLEET, [fault("stcuk", 1)], 1.0, 1)
