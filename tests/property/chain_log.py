"""Two partitions of raw records made by hand, and a chain that reads them in polls of any cut."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.record import Headers, Polled, Span
from ingest.telemetry.chain import AssetState, Chain, Computed
from mesh.pipeline.plan import DEFAULT_STAGES, Level, PipelinePlan
from mesh.signals import Grid, Sensor
from mesh.signals.sensors import Telemetry

BEGAN_MS = 1_700_000_000_000
PARTITIONS = (0, 1)
RECORDS = 180
"""Records of each partition."""
TELEMETRY = Telemetry(
    sensors=(
        Sensor("a", tolerance_ms=500, denoise=("kalman",), group="g"),
        Sensor("b", tolerance_ms=500, denoise=("wavelet",), group="g"),
    ),
    grid=Grid(period_ms=100, lateness_ms=200, restart_after=6, window=8, hop=2),
    features=("mean", "std", "slope", "group_correlation", "coverage"),
)
PLAN = PipelinePlan(DEFAULT_STAGES)

Log = Mapping[int, Sequence[bytes]]
Key = tuple[int, str, int]
"""Partition, asset and time of a window."""


class StampedMessage:
    """A message of which only Kafka's time is asked."""

    def key(self) -> bytes | None:
        return None

    def headers(self) -> Headers | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, BEGAN_MS)


STAMPED = StampedMessage()


def log(seed: int, turn: int = 1) -> Log:
    """Two assets of the same names in each partition: jitter, disorder, a gap, missing values, garbage, repeats.

    They take turns of so many records, each at 10 Hz.
    """
    return {partition: _partition(np.random.default_rng([seed, partition]), turn) for partition in PARTITIONS}


def _partition(rng: np.random.Generator, turn: int) -> list[bytes]:
    n = np.arange(RECORDS)
    time = BEGAN_MS - 60_000 + (n // 2 if turn == 1 else n) * 100 + rng.integers(-150, 150, RECORDS)
    time[n > RECORDS // 2] += 2_000
    values = np.round(rng.normal(10, 2, (RECORDS, 2)), 3)
    found = []
    for at in n.tolist():
        sensors = dict(zip("ab", values[at].tolist(), strict=True))
        if rng.random() < 0.1:
            del sensors["a"]
        record = {"asset": f"pump-{at // turn % 2}", "ts": int(time[at]), "sensors": sensors}
        odd = rng.random()
        repeated = odd > 0.97 and found
        found.append(b"garbage" if odd < 0.03 else found[-1] if repeated else json.dumps(record).encode())
    return found


def poll(records: Log, parts: Mapping[int, tuple[int, int]], gone: Sequence[int] = ()) -> Polled:
    """The records [first, end) of each of these partitions; those of `gone` are another reader's already."""
    values, partitions, offsets, spans = [], [], [], []
    for partition, (first, end) in parts.items():
        if first < end:
            values += records[partition][first:end]
            partitions += [partition] * (end - first)
            offsets += range(first, end)
            spans.append(Span(partition, first, end - 1, end - first, abandoned=partition in gone))
    return Polled(
        "raw", values, partitions, offsets, [STAMPED] * len(values), tuple(spans), 0.0, BEGAN_MS / 1e3
    )


def chain(telemetry: Telemetry = TELEMETRY) -> Chain:
    return Chain(telemetry, PLAN, 10_000)


def windows(computed: Computed, polled: Polled) -> dict[Key, np.ndarray]:
    """Features and deviation of each window, by its partition, asset and time."""
    rows = computed.rows["detect"]
    z = rows.columns.get("z", np.zeros(len(rows)))
    return {
        (polled.partitions[cause], asset, time): np.r_[rows.features[at].ravel(), z[at]]
        for at, (cause, asset, time) in enumerate(
            zip(rows.cause.tolist(), rows.assets, rows.time.tolist(), strict=True)
        )
    }


@dataclass
class Reading:
    """A chain, how far it has read each partition, and the windows that it gave; repeats are equal."""

    records: Log
    chain: Chain
    at: dict[int, int]
    found: dict[Key, np.ndarray]

    @classmethod
    def of(cls, records: Log, telemetry: Telemetry = TELEMETRY) -> "Reading":
        return cls(records, chain(telemetry), dict.fromkeys(records, 0), {})

    def read(self, parts: Mapping[int, int], level: Level = Level.FULL) -> Computed:
        """The next so many records of each partition, as one poll."""
        ends = {p: min(len(self.records[p]), self.at[p] + count) for p, count in parts.items()}
        polled = poll(self.records, {p: (self.at[p], end) for p, end in ends.items()})
        computed = self.chain.compute(polled, level)
        self.at |= ends
        for key, values in windows(computed, polled).items():
            if key in self.found:
                np.testing.assert_array_equal(self.found[key], values, err_msg=f"the repeat of {key}")
            self.found[key] = values
        return computed

    def read_all(self) -> "Reading":
        self.read(dict.fromkeys(self.records, 1 << 20))
        return self

    def states(self, partition: int) -> dict[str, AssetState]:
        """What a snapshot would keep now."""
        states = self.chain.dump(partition, ("pump-0", "pump-1"))
        return {asset: AssetState(self.at[partition], state) for asset, state in states.items()}


def undisturbed(records: Log) -> dict[Key, np.ndarray]:
    return Reading.of(records).read_all().found


def assert_same(one: Mapping[Key, np.ndarray], two: Mapping[Key, np.ndarray]) -> None:
    assert one.keys() == two.keys()
    for key, values in one.items():
        np.testing.assert_array_equal(values, two[key], err_msg=str(key))
