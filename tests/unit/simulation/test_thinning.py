"""A simulated fleet that spares readings: the same run, less of it, and everything from a machine that is watched."""

import json
from dataclasses import replace

from mesh.signals import SamplingRules, Sensor
from mesh.simulation.run import Run
from mesh.simulation.scenario import Injection, Scenario
from mesh.simulation.thinning import Sampling

SENSORS = (
    Sensor("temp", low=0, high=100, tolerance_ms=11_500, delta=2.0),
    Sensor("flow", low=0, high=10, tolerance_ms=11_500, delta=0.2),
)
SHIFT = Injection("level_shift", begins_s=60, lasts_s=60, assets=("pump-1",), size=30)
FULL = Run(Scenario("s", "shows", 120, (SHIFT,)), ("pump-1", "pump-2"), SENSORS, 1.0, 7, 1_000_000, 120.0)
SAMPLED = replace(FULL, sampling=Sampling(SamplingRules(enabled=True)))


def said(run: Run) -> list[dict]:
    return [json.loads(sent.value) for sent in run.records()]


def test_every_reading_that_is_sent_is_one_of_the_full_run():
    full = {(one["asset"], one["ts"]): one["sensors"] for one in said(FULL)}
    found = said(SAMPLED)
    assert all(one["sensors"].items() <= full[one["asset"], one["ts"]].items() for one in found)
    assert 0 < SAMPLED.tally.kept < 0.6
    assert sum(len(one["sensors"]) for one in found) == SAMPLED.tally.sent


def test_the_same_seed_gives_the_same_bytes():
    assert [sent.value for sent in SAMPLED.records()] == [sent.value for sent in SAMPLED.records()]


def test_the_first_record_in_a_fault_tells_of_it():
    first = next(one for one in said(SAMPLED) if one["asset"] == "pump-1" and one["ts"] >= 1_060_000)
    assert first["ts"] == 1_060_000
    assert set(first["sensors"]) == {"temp", "flow"}


def test_a_watched_machine_sends_everything():
    watched = replace(FULL, sampling=Sampling(SamplingRules(enabled=True), lambda: ["pump-2", "nobody"]))
    found = said(watched)
    assert sum(one["asset"] == "pump-2" and len(one["sensors"]) == 2 for one in found) == 120
    assert sum(len(one["sensors"]) for one in found if one["asset"] == "pump-1") < 240
