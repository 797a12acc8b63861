"""Raw telemetry on a real Kafka: features follow from the records alone, whoever is killed while they are computed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from stream_servers import ROOT, STANDSTILL_S, RealKafka, RealRedis

from mesh.signals.chain import SignalChain
from mesh.simulation.machine import Fleet, typical
from mesh.simulation.stream import Simulation
from mesh.spec import load_telemetry

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

ASSETS, SECONDS = 24, 600
BEGAN_MS = 1_760_000_000_000
TELEMETRY = """
grid: {period_ms: 1000, lateness_ms: 1000, window: 32, hop: 4}
sensors:
  temp: {unit: degC, low: 0, high: 150, group: heat, denoise: [kalman]}
  flow: {unit: L/min, low: 0, high: 200, group: heat, denoise: [wavelet]}
  speed: {low: 0, high: 3000}
"""


@dataclass(frozen=True)
class Record:
    """One raw record."""

    asset: str
    time: int
    values: np.ndarray


def simulated(folder: Path) -> list[Record]:
    """Every asset once a second, one record in fifty out of order and one in a hundred twice."""
    sensors = load_telemetry(folder).sensors
    fleet = Fleet([typical(sensor, at) for at, sensor in enumerate(sensors)], ASSETS, seed=5)
    simulation = Simulation(fleet, (), 1.0, seed=5)
    rng = np.random.default_rng(5)
    records = []
    for second in range(SECONDS):
        block = simulation.second(second)
        for asset, at, values in zip(block.asset, block.seconds, block.values, strict=True):
            records.append(Record(f"pump-{asset}", BEGAN_MS + int(at * 1e3), np.round(values, 6)))
    for at in rng.choice(len(records) - 40, len(records) // 50, replace=False):
        records[at], records[at + 37] = records[at + 37], records[at]
    for at in rng.choice(len(records), len(records) // 100, replace=False):
        records.insert(at, records[at])
    return records


def expected(folder: Path, records: list[Record]) -> dict[tuple[str, int], np.ndarray]:
    """The features of an undisturbed run: one chain over all records in their order."""
    chain = SignalChain(load_telemetry(folder))
    featured = chain.take(
        [record.asset for record in records],
        np.array([record.time for record in records]),
        np.array([record.values for record in records]),
    )
    return {
        (asset, time): featured.features[i].ravel()
        for i, (asset, time) in enumerate(zip(featured.assets, featured.time.tolist(), strict=True))
    }


def feed(
    kafka: RealKafka, topic: str, records: list[Record], per_second: float, gate: threading.Event
) -> None:
    """All records in their order; the last third once the gate is open."""
    # Else a send that is tried again comes late
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 5, "enable.idempotence": True})
    began = time.monotonic()
    for n, record in enumerate(records):
        if n == 2 * len(records) // 3:
            assert gate.wait(400)
            began = time.monotonic() - n / per_second
        sensors = dict(zip(("temp", "flow", "speed"), record.values.tolist(), strict=True))
        value = {"asset": record.asset, "ts": record.time, "sensors": sensors}
        producer.produce(topic, json.dumps(value), record.asset)
        if n % 200 == 0:
            producer.poll(0)
            time.sleep(max(0.0, n / per_second - (time.monotonic() - began)))
    assert producer.flush(240) == 0


class Chains:
    """Processes that run the chain on topics of their own."""

    def __init__(self, folder: Path, name: str, kafka: RealKafka, redis: RealRedis, snapshot_ms: int) -> None:
        self.raw, self.features = f"{name}.raw", f"{name}.features"
        kafka.create(self.raw, f"{self.raw}.dlq", self.features)
        config = folder / name
        config.mkdir()
        (config / "telemetry.yaml").write_text(TELEMETRY)
        (config / "pipeline.yaml").write_text(
            f"group: {name}\nsnapshot_ms: {snapshot_ms}\nbatch: {{records: 500}}\n"
        )
        topics = f"raw: {{topic: {self.raw}}}\nfeatures: {{topic: {self.features}}}\n"
        (config / "topics.yml").write_text(topics)
        self.config, self._kafka = config, kafka
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "REDIS_URL": redis.url,
            "INGEST_COMMIT_INTERVAL_S": "0.1",
            "KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000",
            "KAFKA_CLIENT_HEARTBEAT_INTERVAL_MS": "1000",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        script = ROOT / "benchmarks" / "telemetry_in_process.py"
        words = [sys.executable, str(script), "--config", str(self.config)]
        process = subprocess.Popen(words, env=self._environ, stdout=subprocess.PIPE)
        self.processes.append(process)
        return process

    def readers(self) -> set[str]:
        """Members of the group that have partitions, by their id; one that was killed is a member until Kafka misses it."""
        admin = AdminClient({"bootstrap.servers": self._kafka.bootstrap})
        found = admin.describe_consumer_groups([self.config.name])[self.config.name].result(90)
        return {one.member_id for one in found.members if one.assignment and one.assignment.topic_partitions}

    def end(self) -> list[str]:
        said = []
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                said.append(process.communicate(timeout=180)[0].decode())
        return said

    def found(self, wanted: int, seconds: float) -> Iterator[tuple[str, dict[str, object]]]:
        """Feature records until `wanted` different ids have come."""
        ids: set[str] = set()
        for value in values_of(self._kafka, self.features, seconds, lambda: len(ids) < wanted):
            ids.add(str(value["input_id"]))
            yield str(value["input_id"]), value


def values_of(
    kafka: RealKafka, topic: str, seconds: float, more: Callable[[], bool]
) -> Iterator[dict[str, object]]:
    """What a topic holds from its beginning, as long as more is wanted."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": f"{topic}.check",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    ends, came = time.monotonic() + seconds + STANDSTILL_S, 0
    try:
        while more():
            assert time.monotonic() < ends, f"{came} records of {topic} came"
            for message in consumer.consume(1_000, 0.5):
                came += 1
                yield json.loads(message.value())
    finally:
        consumer.close()


def by_asset(records: list[Record]) -> dict[str, list[int]]:
    """The times of each asset's records, in their order."""
    found: dict[str, list[int]] = defaultdict(list)
    for record in records:
        found[record.asset].append(record.time)
    return found


def taken(kafka: RealKafka, chains: Chains, wanted: int) -> dict[str, list[int]]:
    """The same of the `wanted` records that lie in Kafka."""
    found: dict[str, list[int]] = defaultdict(list)
    for value in values_of(kafka, chains.raw, 60, lambda: sum(map(len, found.values())) < wanted):
        found[str(value["asset"])].append(int(str(value["ts"])))
    return found


def committed(kafka: RealKafka, chains: Chains) -> int:
    return sum(max(0, at) for at in kafka.committed(chains.raw, chains.config.name).values())


def until(holds: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds + STANDSTILL_S
    while not holds():
        assert time.monotonic() < ends, "what was waited for did not happen"
        time.sleep(0.02)


def compare(chains: Chains, want: Mapping[tuple[str, int], np.ndarray]) -> int:
    """Every window is there and equal, repeats too; returns how many were repeats."""
    seen = 0
    for name, value in chains.found(len(want), 90):
        metadata = value["metadata"]
        assert isinstance(metadata, dict)
        key = (str(metadata["asset"]), int(metadata["ts"]))
        assert name == f"{key[0]}@{key[1]}"
        assert key in want, f"{name} is of no window"
        features = np.array(value["features"]).ravel()
        np.testing.assert_allclose(features, want[key], rtol=1e-6, atol=1e-6, err_msg=f"{name} {metadata}")
        seen += 1
    return seen - len(want)


def test_features_equal_those_of_an_undisturbed_run_though_readers_are_killed_and_partitions_move(
    tmp_path: Path, kafka: RealKafka, redis: RealRedis
) -> None:
    chains = Chains(tmp_path, "killed", kafka, redis, snapshot_ms=500)
    records = simulated(chains.config)
    want = expected(chains.config, records)
    gate = threading.Event()
    feeding = threading.Thread(target=feed, args=(kafka, chains.raw, records, 1_000, gate), daemon=True)
    try:
        victim = chains.start()
        feeding.start()
        until(lambda: committed(kafka, chains) >= 3_000, 90)
        before = chains.readers()
        time.sleep(0.2)  # what is seen as committed has just been: some more is written before the next time
        victim.send_signal(signal.SIGKILL)  # in the middle: half a second of work at most was not written
        victim.communicate(timeout=60)
        leaver = chains.start()
        chains.start()
        until(lambda: len(chains.readers() - before) == 2, 150)
        gate.set()
        until(lambda: committed(kafka, chains) >= 11_000, 120)
        leaver.send_signal(signal.SIGTERM)  # a rebalance in order: nothing is read again
        said = leaver.communicate(timeout=180)[0].decode()
        feeding.join(240)
        assert taken(kafka, chains, len(records)) == by_asset(records), "the stream is as it was made"
        repeats = compare(chains, want)
        assert "left uncommitted 0" in said
        assert "read 0," not in said
        print(json.dumps({"windows": len(want), "repeats": repeats}))
        assert 0 < repeats < len(want) / 2, "what is read again is what was read since the last snapshot"
    finally:
        said_last = chains.end()
    assert "left uncommitted 0" in said_last[-1]
    assert committed(kafka, chains) == len(records)
