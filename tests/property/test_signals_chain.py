"""The chain as a whole: cuts into batches and a restart from bytes change no feature, and nothing comes from the future."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.signals import Grid, Sensor
from mesh.signals.chain import SignalChain
from mesh.signals.sensors import Telemetry

TELEMETRY = Telemetry(
    sensors=(
        Sensor("a", tolerance_ms=500, denoise=("kalman",), group="g"),
        Sensor("b", tolerance_ms=500, denoise=("wavelet", "kalman"), group="g"),
        Sensor("c", tolerance_ms=500),
    ),
    grid=Grid(period_ms=100, lateness_ms=200, restart_after=6, window=16, hop=4),
    features=("mean", "std", "slope", "spectral_centroid", "group_correlation", "coverage"),
)


def made(seed: int, records: int = 600):
    """Three assets at 10 Hz with jitter, disorder, gaps and missing values."""
    rng = np.random.default_rng(seed)
    n = np.arange(records)
    names = [f"pump-{i}" for i in (n % 3).tolist()]
    time = 1_000_000 + n // 3 * 100 + rng.integers(-150, 150, records)
    time[(n > 300) & (n % 3 == 1)] += 4_000
    values = rng.normal(10, 2, (records, 3))
    values[rng.random((records, 3)) < 0.1] = np.nan
    return names, time, values


def run(chain, names, time, values, cuts):
    """Features by asset and time."""
    found = {}
    edges = sorted({0, len(names), *(cut % len(names) for cut in cuts)})
    for begin, end in itertools.pairwise(edges):
        got = chain.take(names[begin:end], time[begin:end], values[begin:end])
        found |= {(got.assets[i], int(got.time[i])): got.features[i] for i in range(len(got.assets))}
    return found


def assert_same(one, two):
    assert one.keys() == two.keys()
    for key, features in one.items():
        np.testing.assert_array_equal(features, two[key], err_msg=str(key))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 599), max_size=12))
def test_any_cut_into_batches_gives_the_same_features(seed, cuts):
    stream = made(seed)
    whole = run(SignalChain(TELEMETRY), *stream, [])
    assert len(whole) > 50
    assert_same(run(SignalChain(TELEMETRY), *stream, cuts), whole)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 599))
def test_a_restart_from_bytes_gives_the_same_features(seed, cut):
    names, time, values = made(seed)
    whole = run(SignalChain(TELEMETRY), names, time, values, [])
    first, second = SignalChain(TELEMETRY), SignalChain(TELEMETRY)
    before = run(first, names[:cut], time[:cut], values[:cut], [])
    assert first.digest == second.digest
    second.load(first.dump(first.assets.names))
    assert_same(before | run(second, names[cut:], time[cut:], values[cut:], []), whole)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.integers(200, 599))
def test_shifting_the_future_changes_no_feature_before_it(seed, at):
    names, time, values = made(seed)
    other = values.copy()
    other[at:] += 1_000.0
    chain, shifted = SignalChain(TELEMETRY), SignalChain(TELEMETRY)
    assert_same(
        run(shifted, names[:at], time[:at], other[:at], []),
        run(chain, names[:at], time[:at], values[:at], []),
    )
    one = chain.take(names[at:], time[at:], values[at:])
    two = shifted.take(names[at:], time[at:], other[at:])
    np.testing.assert_array_equal(one.time, two.time)
    for i, name in enumerate(one.assets):
        # A window may only differ where a reading at or before its end is one that was shifted.
        known = [n for n in range(at, len(names)) if names[n] == name and time[n] <= one.time[i]]
        if not known:
            np.testing.assert_array_equal(one.features[i], two.features[i])


def test_an_asset_that_made_room_begins_anew():
    telemetry = Telemetry(TELEMETRY.sensors, TELEMETRY.grid, TELEMETRY.features, max_assets=1)
    chain, time = SignalChain(telemetry), 1_000_000 + 100 * np.arange(40)
    values = np.ones((40, 3))
    first = chain.take(["a"] * 40, time, values)
    other = chain.take(["b"] * 40, time, values)
    assert other.forgotten == ("a",)
    np.testing.assert_array_equal(first.features, other.features)
    np.testing.assert_array_equal(chain.take(["a"] * 40, time, values).features, first.features)
