"""What models of telemetry learn from is what the stream would send them, to the last digit."""

from pathlib import Path

import numpy as np
from polls import polled

from ingest.stages.decode import Decode
from mesh.cli.simulating import Wanted, run_of
from mesh.learning.anomaly.simulated import START_MS, Machines, healthy_windows
from mesh.signals.chain import SignalChain
from mesh.spec import load_scenario, load_telemetry

ROOT = Path(__file__).resolve().parents[3]
BEFORE_S = 80
"""Earlier than the windows that are learned from, by a whole number of hops: polls made by hand take nothing later."""


def test_windows_of_the_stream_are_those_that_were_learned_from():
    telemetry = load_telemetry(ROOT / "config")
    healthy = load_scenario(ROOT / "config/scenarios", "healthy", telemetry)
    wanted = Wanted(5, float("inf"), assets=4, duration_s=80, start=str(START_MS // 1_000 - BEFORE_S))
    run = run_of(healthy, telemetry, ROOT, wanted, 0.0)
    decoded = Decode(telemetry, 1_000_000).open(polled([sent.value for sent in run.records()]))
    found = SignalChain(telemetry).take(decoded.assets, decoded.time, decoded.values)
    learned = healthy_windows(telemetry, Machines(4, 80), 5)
    order = np.lexsort((found.time, [learned.assets.index(name) for name in found.assets]))
    assert len(learned) == 5
    np.testing.assert_array_equal(found.time[order] + BEFORE_S * 1_000, learned.time)
    np.testing.assert_array_equal(found.features[order].astype(np.float32), learned.values)
