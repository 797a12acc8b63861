"""The same seed gives the same bytes, however they are taken; and the truth covers exactly the records that were changed."""

import json
from collections import Counter
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.signals import Sensor
from mesh.simulation.kinds import KINDS
from mesh.simulation.run import Run
from mesh.simulation.scenario import Injection, Scenario

SENSORS = [Sensor(name, low=0, high=100) for name in ("temp", "flow", "power")]
DURATION_S = 30.0
START = 1_700_000_000_000
ALWAYS = ("level_shift", "unit_change", "missing_sensor", "clock_skew", "late")
"""Kinds that change every record in their time."""


@st.composite
def injections(draw, kinds=tuple(KINDS)):
    kind = draw(st.sampled_from(kinds))
    sensors = () if KINDS[kind].whole else draw(st.sampled_from([(), ("flow",), ("temp", "power")]))
    return Injection(
        kind=kind,
        begins_s=draw(st.integers(0, 29_000)) / 1e3,
        lasts_s=draw(st.integers(1, 20_000)) / 1e3,
        share=draw(st.sampled_from([None, 0.5, 1.0])),
        sensors=sensors,
        spread_s=draw(st.sampled_from([0.0, 7.0])),
        size=KINDS[kind].size or 0.0,
        unit=draw(st.sampled_from([None, "degF"])),
    )


def run(placed, seed, hz=2.0, assets=5):
    names = tuple(f"pump-{n}" for n in range(assets))
    return Run(Scenario("s", "", DURATION_S, tuple(placed)), names, SENSORS, hz, seed, START, DURATION_S)


@given(
    st.lists(injections(), max_size=4), st.integers(0, 2**32), st.sampled_from([0.3, 2.0, 7.0]), st.integers(0, 400)
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_same_seed_gives_the_same_bytes_however_they_are_taken(placed, seed, hz, first):
    whole = list(run(placed, seed, hz).records())
    again = run(placed, seed, hz).records()
    assert [*islice(again, first), *again] == whole
    assert [one.json() for one in run(placed, seed, hz).truths] == [
        one.json() for one in run(placed, seed, hz).truths
    ]
    sent = [one.seconds for one in whole]
    assert sent == sorted(sent)


@given(injections(), st.integers(0, 2**32), st.sampled_from([0.3, 2.0, 7.0]))
@settings(max_examples=80, deadline=None)
def test_no_record_is_changed_outside_of_the_truth(injection, seed, hz):
    healthy, broken = (
        Counter(run([], seed, hz).records()),
        Counter((faulty := run([injection], seed, hz)).records()),
    )
    for gone in healthy - broken:
        assert is_in_truth(faulty, gone)
    skew = round(injection.size * 1e3) if injection.kind == "clock_skew" else 0
    for new in broken - healthy:
        assert is_in_truth(faulty, new, skew)


@given(injections(ALWAYS), st.integers(0, 2**32), st.sampled_from([0.3, 2.0, 7.0]))
@settings(max_examples=80, deadline=None)
def test_every_record_in_the_truth_is_changed(injection, seed, hz):
    healthy, broken = set(run([], seed, hz).records()), set((faulty := run([injection], seed, hz)).records())
    for one in healthy & broken:
        assert not is_in_truth(faulty, one)


def is_in_truth(faulty, sent, skew=0):
    said = json.loads(sent.value)
    return any(
        truth.asset == said["asset"] and truth.from_ms <= said["ts"] - skew < truth.to_ms
        for truth in faulty.truths
    )
