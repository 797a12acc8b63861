"""A run: which machines the seed breaks, what the truth says of it, and how many records are expected."""

import json
from collections import Counter

import pytest

from mesh.errors import InvalidInput
from mesh.signals import Sensor
from mesh.simulation.run import Run
from mesh.simulation.scenario import Injection, Scenario

ASSETS = tuple(f"pump-{n}" for n in range(1, 21))
SENSORS = (Sensor("temp", low=0, high=100), Sensor("flow", low=0, high=10))
START = 1_700_000_000_000


def run(*injections, seed=7, duration_s=60.0, hz=1.0):
    return Run(Scenario("test", "", 60.0, injections), ASSETS, SENSORS, hz, seed, START, duration_s)


def injection(kind="level_shift", **more):
    return Injection(**{"kind": kind, "begins_s": 10.0, "lasts_s": 20.0, "size": 10.0, **more})


def test_the_truth_names_machine_kind_sensors_and_time():
    truth = json.loads(run(injection(sensors=("flow",), assets=("pump-3",))).truths[0].json())
    assert truth == {
        "asset": "pump-3", "kind": "level_shift", "from": START + 10_000, "to": START + 30_000,
        "sensors": ["flow"], "scenario": "test", "seed": 7,
    }  # fmt: skip


def test_a_share_of_the_machines_is_chosen_by_the_seed():
    truths = run(injection(share=0.25, spread_s=5.0)).truths
    assert len({truth.asset for truth in truths}) == 5
    assert len({truth.from_ms for truth in truths}) == 5
    assert all(START + 10_000 <= truth.from_ms < START + 15_000 for truth in truths)
    assert [truth.from_ms for truth in truths] == sorted(truth.from_ms for truth in truths)
    others = {frozenset(t.asset for t in run(injection(share=0.25), seed=seed).truths) for seed in range(5)}
    assert len(others) > 1
    assert len(run(injection(share=0.001)).truths) == 1
    assert len(run(injection()).truths) == 1


def test_faults_take_different_machines_as_long_as_there_are_enough():
    truths = run(injection(share=0.5), injection("stuck", share=0.25), injection("drift", share=0.25)).truths
    assert len({truth.asset for truth in truths}) == len(truths) == 20
    assert len(run(injection(share=1.0), injection("stuck", share=0.25)).truths) == 25


def test_the_truth_ends_with_the_run_and_knows_nothing_after_it():
    cut = run(injection(), injection(begins_s=40.0), duration_s=25.0)
    assert [(truth.from_ms - START, truth.to_ms - START) for truth in cut.truths] == [(10_000, 25_000)]


def test_records_are_keyed_by_machine_and_as_many_as_expected():
    made = list((healthy := run()).records())
    assert len(made) == healthy.expected == 1_200
    assert Counter(sent.key for sent in made) == {name.encode(): 60 for name in ASSETS}
    assert [sent.seconds for sent in made] == sorted(sent.seconds for sent in made)
    assert json.loads(made[0].value)["ts"] == START


@pytest.mark.parametrize(
    ("kind", "size", "more"), [("flood", 10.0, 9 * 20 * 20), ("duplicates", 0.5, 20 * 20)]
)
def test_floods_and_duplicates_are_expected_too(kind, size, more):
    one = run(injection(kind, share=1.0, size=size))
    assert one.expected == 1_200 + more
    assert len(list(one.records())) == pytest.approx(one.expected, abs=40)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"assets": ("pump-21",)}, "--assets: the scenario's level_shift is put on 'pump-21', which is not among the 20"),
        ({"sensors": ("pressure",)}, "the sensor 'pressure', which the machines do not have: they have temp, flow"),
    ],
)  # fmt: skip
def test_a_fault_needs_its_machine_and_sensor(wrong, message):
    with pytest.raises(InvalidInput, match=message):
        _ = run(injection(**wrong)).faults
