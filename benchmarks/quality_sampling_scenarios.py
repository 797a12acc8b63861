"""What adaptive sampling costs in detection on the scenarios: the chain, with its cheap detector, over both streams.

The same faults on the same machines, at full rate and sampled. The two are compared at the same rate of false alarms: each has
the threshold above which `ALARMS` of the windows of machines without a fault lie, because a held signal is calmer than a noisy
one. A machine whose newest window is stranger than `STRANGE` of those of a healthy fleet, of another seed, is watched, as one
with an open alert is, and sends everything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from ingest.record import Polled, Span
from ingest.telemetry.chain import Chain, Computed
from mesh.pipeline.plan import Level
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.simulation.run import Run, Sent
from mesh.simulation.thinning import Sampling
from mesh.spec import load_mesh, load_pipeline, load_scenario
from mesh.spec.document import parse_document
from mesh.spec.problems import validate
from mesh.spec.telemetry_file import TelemetryFile

CONFIG: Final = Path(__file__).resolve().parents[1] / "config"
HEALTHY: Final = "healthy"
SCENARIOS: Final = (
    "drift",
    "spike",
    "noise-burst",
    "level-shift",
    "frequency-change",
    "correlated-fault",
    "sensor-stuck",
    "slow-degradation",
)
"""Those that break what sensors say; the others break the way of records."""
ASSETS: Final = tuple(f"pump-{number}" for number in range(1, 41))
SHARE: Final = 0.25
"""Of the machines, in each scenario: more than as shipped, so that there are faults enough to count."""
SEED: Final = 20261127
"""None that the shipped sampling was chosen with."""
START_MS: Final = 1_767_225_600_000
SETTLED_MS: Final = START_MS + 300_000
"""No fault begins before; the detector has warmed up by then."""
ALARMS: Final = 0.05
STRANGE: Final = 0.99


@dataclass(frozen=True, slots=True)
class _Message:
    """A record that never saw a broker, of this time."""

    time_ms: int

    def key(self) -> bytes | None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, self.time_ms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all scenarios: faults found, how many there were, seconds until each was found on average (its length: never).

    `kept` is the share of readings that were sent.
    """

    found: int
    faults: int
    delay_s: float
    kept: float

    @property
    def rate(self) -> float:
        """The share of faults that were found."""
        return self.found / self.faults


@dataclass(slots=True)
class _Watch:
    """Machines whose newest window is over the threshold."""

    threshold: float
    names: set[str] = field(default_factory=set)

    def __call__(self) -> set[str]:
        return self.names

    def see(self, computed: Computed) -> None:
        rows = computed.rows["detect"]
        for asset, z in zip(rows.assets, rows.columns["z"].tolist(), strict=True):
            (self.names.add if z >= self.threshold else self.names.discard)(asset)


@dataclass(frozen=True, slots=True)
class _Windows:
    """What the chain said of each window: asset, time in ms since 1970 int64 [W], deviation float64 [W]."""

    asset: np.ndarray
    time: np.ndarray
    z: np.ndarray


def measure(sampled: bool) -> Outcome:
    """Run every scenario."""
    telemetry = declared(sampled)
    _, healthy = _run(HEALTHY, telemetry, sampled, np.inf, SEED + 1)
    strange = float(np.quantile(healthy.z[healthy.time >= SETTLED_MS], STRANGE))
    seen = [_run(name, telemetry, sampled, strange, SEED) for name in SCENARIOS]
    alarm = float(np.quantile(np.concatenate([_well(run, windows) for run, windows in seen]), 1 - ALARMS))
    delays, hits = [], 0
    for run, windows in seen:
        for truth in run.truths:
            inside = (windows.time >= truth.from_ms) & (windows.time < truth.to_ms)
            times = windows.time[inside & (windows.asset == truth.asset) & (windows.z >= alarm)]
            hits += len(times) > 0
            delays.append((int(times.min(initial=truth.to_ms)) - truth.from_ms) / 1e3)
    tallies = [run.tally for run, _ in seen]
    kept = sum(one.sent for one in tallies) / sum(one.read for one in tallies) if sampled else 1.0
    return Outcome(hits, len(delays), float(np.mean(delays)), kept)


def _well(run: Run, windows: _Windows) -> np.ndarray:
    """Deviations of the machines that have no fault, float64 [W]."""
    broken = sorted({truth.asset for truth in run.truths})
    settled: np.ndarray = windows.z[~np.isin(windows.asset, broken) & (windows.time >= SETTLED_MS)]
    return settled


def declared(sampled: bool) -> Telemetry:
    """The shipped sensors, with the two features that the detector follows."""
    text = (CONFIG / "telemetry.yaml").read_text() + ("\nsampling: {enabled: true}\n" if sampled else "")
    document = parse_document("telemetry.yaml", text)
    return replace(validate(TelemetryFile, document, document.data).telemetry(), features=("mean", "std"))


def _run(name: str, telemetry: Telemetry, sampled: bool, strange: float, seed: int) -> tuple[Run, _Windows]:
    """One scenario through the chain, a second of records a poll."""
    watch, scenario = _Watch(strange), load_scenario(CONFIG / "scenarios", name, telemetry)
    injections = tuple(replace(one, share=SHARE) for one in scenario.injections)
    duration = 900.0 if name == HEALTHY else scenario.duration_s
    run = Run(
        replace(scenario, injections=injections), ASSETS, telemetry.sensors, 1.0, seed, START_MS, duration,
        sampling=Sampling(telemetry.sampling, watch) if sampled else None,
    )  # fmt: skip
    found: list[tuple[str, int, float]] = []
    chain = Chain(telemetry, load_pipeline(CONFIG, load_mesh(CONFIG, Settings())), 1_000_000)
    for polled in _polls(run):
        computed = chain.compute(polled, Level.FULL)
        watch.see(computed)
        rows = computed.rows["detect"]
        found += zip(rows.assets, rows.time.tolist(), rows.columns["z"].tolist(), strict=True)
    asset, time, z = zip(*found, strict=True)
    return run, _Windows(np.array(asset), np.array(time), np.array(z))


def _polls(run: Run) -> Iterator[Polled]:
    offset = 0
    for batch in _seconds(run):
        n, now_ms = len(batch), START_MS + round(batch[-1].seconds * 1e3)
        yield Polled(
            "raw", [one.value for one in batch], [0] * n, range(offset, offset + n), [_Message(now_ms)] * n,
            (Span(0, offset, offset + n - 1, n),), 0.0, now_ms / 1e3,
        )  # fmt: skip
        offset += n


def _seconds(run: Run) -> Iterator[list[Sent]]:
    batch: list[Sent] = []
    for sent in run.records():
        if batch and int(sent.seconds) != int(batch[0].seconds):
            yield batch
            batch = []
        batch.append(sent)
    if batch:
        yield batch
