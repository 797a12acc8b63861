"""The decode stage takes what the shipped scenarios send, and refuses of it only what they mean to be refused."""

from pathlib import Path

import numpy as np
import pytest
from polls import polled

from ingest.record import RejectKind
from ingest.stages.decode import Decode
from mesh.cli.simulating import Wanted, run_of
from mesh.spec import load_scenarios, load_telemetry

ROOT = Path(__file__).resolve().parents[3]
TELEMETRY = load_telemetry(ROOT / "config")
SCENARIOS = load_scenarios(ROOT / "config/scenarios", TELEMETRY)
NOW_S = 1_700_000_000.0
"""When the polls made by hand came."""


def decoded(name: str):
    scenario = SCENARIOS[name]
    rate = None if scenario.source else 2.0
    run = run_of(scenario, TELEMETRY, ROOT, Wanted(7, float("inf"), assets=10, rate=rate), NOW_S)
    return Decode(TELEMETRY, 1_000_000).open(polled([sent.value for sent in run.records()]))


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - {"unit-change"}))
def test_everything_is_taken_and_nothing_is_odd(name):
    found = decoded(name)
    assert len(found.positions) > 500
    assert not found.rejected
    assert not found.odd
    # Machines whose clocks run ahead stay within what the chain allows.
    assert found.time.max() <= NOW_S * 1e3 + 30_000


def test_units_are_converted_kept_or_refused_as_the_scenario_says():
    found = decoded("unit-change")
    assert {one.kind for one in found.rejected} == {RejectKind.WRONG_UNIT}
    place = [sensor.name for sensor in TELEMETRY.sensors].index("inlet_temperature")
    assert np.nanmax(found.values[:, place]) < 60, "what says degF is degC again"
    silent = [sensor.name for sensor in TELEMETRY.sensors].index("oil_temperature")
    assert np.nanmax(found.values[:, silent]) > 120, "what says nothing stays as it is"


def test_a_recordings_units_are_converted_and_its_other_sensors_missing():
    found = decoded("recorded-turbofans")
    names = [sensor.name for sensor in TELEMETRY.sensors]
    inlet = found.values[:, names.index("inlet_temperature")]
    assert 80 < inlet.min() < inlet.max() < 90
    assert np.isnan(found.values[:, names.index("flow")]).all()
