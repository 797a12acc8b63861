"""What adaptive sampling costs in detection on the scenarios: the chain itself, with its cheap detector, run over both streams.

The same faults on the same machines, at full rate and sampled; one threshold for both, fixed on healthy machines at full rate.
A machine whose newest window is over the threshold is watched, as one with an open alert is, and sends everything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ingest.record import Polled, Span
from ingest.telemetry.chain import Chain, Computed
from mesh.pipeline.plan import Level
from mesh.settings import Settings
from mesh.signals.sensors import Telemetry
from mesh.simulation.run import Run, Sent
from mesh.spec import load_mesh, load_pipeline
from mesh.spec.document import parse_document
from mesh.spec.problems import validate
from mesh.spec.telemetry_file import TelemetryFile

CONFIG: Final = Path(__file__).resolve().parents[1] / "config"
SCENARIOS: Final = (
    "sensor-stuck",
    "drift",
    "spike",
    "noise-burst",
    "level-shift",
    "frequency-change",
    "slow-degradation",
    "correlated-fault",
    "unit-change",
)
"""Those that break what sensors say; the others break the way of records."""
ASSETS: Final = 40
SEED: Final = 7
START_MS: Final = 1_767_225_600_000
QUANTILE: Final = 0.999
"""The share of healthy windows below the threshold."""


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
    """Of one scenario: truths found, their number, seconds until each was found (its length where it was not).

    `false` of `healthy` windows outside faults were over the threshold; `kept` is the share of readings that were sent.
    """

    found: int
    delays_s: tuple[float, ...]
    lengths_s: tuple[float, ...]
    false: int
    healthy: int
    kept: float


@dataclass(slots=True)
class _Watch:
    """Machines over the threshold."""

    threshold: float
    names: set[str] = field(default_factory=set)

    def __call__(self) -> set[str]:
        return self.names

    def see(self, computed: Computed) -> None:
        rows = computed.rows["detect"]
        for asset, z in zip(rows.assets, rows.columns["z"].tolist(), strict=True):
            (self.names.add if z >= self.threshold else self.names.discard)(asset)


def declared(sampled: bool) -> Telemetry:
    """The shipped sensors, with the two features that the detector follows."""
    text = (CONFIG / "telemetry.yaml").read_text() + ("\nsampling: {enabled: true}\n" if sampled else "")
    document = parse_document("telemetry.yaml", text)
    return replace(validate(TelemetryFile, document, document.data).telemetry(), features=("mean", "std"))


def windows(run: Run, telemetry: Telemetry, watch: _Watch) -> Iterator[tuple[str, int, float]]:
    """Asset, time and deviation of every window that the chain makes of the run."""
    plan = load_pipeline(CONFIG, load_mesh(CONFIG, Settings()))
    chain = Chain(telemetry, plan, 1_000_000)
    offset = 0
    for batch in _seconds(run):
        n, now_ms = len(batch), START_MS + round(batch[-1].seconds * 1e3)
        polled = Polled(
            "raw", [one.value for one in batch], [0] * n, range(offset, offset + n), [_Message(now_ms)] * n,
            (Span(0, offset, offset + n - 1, n),), 0.0, now_ms / 1e3,
        )  # fmt: skip
        offset += n
        computed = chain.compute(polled, Level.FULL)
        watch.see(computed)
        rows = computed.rows["detect"]
        yield from zip(rows.assets, rows.time.tolist(), rows.columns["z"].tolist(), strict=True)


def _seconds(run: Run) -> Iterator[list[Sent]]:
    batch: list[Sent] = []
    second = 0
    for sent in run.records():
        if int(sent.seconds) != second and batch:
            yield batch
            batch = []
        second = int(sent.seconds)
        batch.append(sent)
    if batch:
        yield batch
