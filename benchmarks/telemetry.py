"""Telemetry rows: raw records already in a real Kafka, features back into it, by us and by Quix Streams.

Both are timed by Kafka's timestamps of what they write: raw records per second between the first and the last tenth of the
windows. We compute twenty features behind a Kalman filter, the peer mean and standard deviation.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console

from benchmarks.programs import ROOT, CannotRun, clean_environment, kafka, redis_server, running
from benchmarks.results import Row, at_least

QUIX = ROOT / "build" / "quix-venv"
QUIX_VERSION = "3.28.1"
CONFIG = ROOT / "benchmarks" / "config-telemetry"
PEER = ROOT / "benchmarks" / "peers" / "quix_windows.py"
SENSORS = [f"s{number:02}" for number in range(1, 17)]
ASSETS = 200
PARTITIONS = 4
RECORDS, PEER_RECORDS = 400_000, 60_000
BEGAN_MS = 1_760_000_000_000
_QUIET_S = 15.0


@dataclass(slots=True)
class Bench:
    """The servers of one run and what was measured on them."""

    bootstrap: str
    redis: str
    console: Console
    samples: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "quix": []})
    problems: list[str] = field(default_factory=list)

    def create(self, *topics: str) -> None:
        """Topics of four partitions."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        # Quix Streams gives its results the times of the readings: the broker's own clock is the same for both.
        config = {"message.timestamp.type": "LogAppendTime"}
        wanted = [NewTopic(topic, PARTITIONS, 1, config=config) for topic in topics]
        for made in admin.create_topics(wanted).values():
            made.result(30)

    def fill(self, topic: str, records: int) -> None:
        """Every asset once a second, keyed by asset."""
        self.console.print(f"filling {topic}: {records:,} records of {len(SENSORS)} sensors")
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 20, "acks": "all"})
        rng = np.random.default_rng(7)
        level = rng.uniform(30, 60, (ASSETS, len(SENSORS)))
        for second in range(records // ASSETS):
            values = np.round(level + rng.standard_normal(level.shape), 3).tolist()
            for asset in range(ASSETS):
                record = {
                    "asset": f"pump-{asset}",
                    "ts": BEGAN_MS + second * 1_000,
                    "sensors": dict(zip(SENSORS, values[asset], strict=True)),
                }
                producer.produce(
                    topic, json.dumps(record), f"pump-{asset}", timestamp=BEGAN_MS + second * 1_000
                )
            producer.poll(0)
        producer.flush(60)

    def time(self, name: str, topic: str, records: int, command: Sequence[str | Path], **env: str) -> None:
        """Run a program until it writes no more windows; raw records per second over the middle eight tenths."""
        windows = ASSETS * ((records // ASSETS - 64) // 8 - 1)
        with running(command, f"telemetry-{name}", clean_environment(**env)) as process:
            times = self._written(topic, windows, process)
        if len(times) < windows * 0.98:
            self.problems.append(f"{name} wrote {len(times)} of about {windows} windows")
            return
        first, last = np.quantile(times, (0.1, 0.9))
        rate = float(0.8 * len(times) * 8 / ((last - first) / 1e3))
        self.console.print(f"  {name}: {rate:,.0f} raw records/s, {len(times):,} windows")
        self.samples[name].append(rate)

    def _written(self, topic: str, wanted: int, process: "subprocess.Popen[bytes]") -> np.ndarray:
        """Kafka's timestamps of the records of a topic, until `wanted` are there or none comes any more."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bench-telemetry"})
        consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        times: list[int] = []
        heard, began = time.monotonic(), time.monotonic()
        try:
            while time.monotonic() - heard < (_QUIET_S if times else 60) and time.monotonic() - began < 300:
                came = consumer.consume(10_000, 0.2)
                times += [message.timestamp()[1] for message in came if message.error() is None]
                heard = time.monotonic() if came else heard
                if len(times) >= wanted + ASSETS or process.poll() is not None:
                    break
        finally:
            consumer.close()
        return np.array(times, np.float64)


def measure(rounds: int, console: Console) -> list[Row]:
    """All telemetry rows."""
    try:
        quix = _quix(console)
        with kafka() as bootstrap, redis_server() as url:
            bench = Bench(bootstrap, url, console)
            bench.create("bench.raw", "bench.raw.dlq", "bench.peer")
            bench.fill("bench.raw", RECORDS)
            bench.fill("bench.peer", PEER_RECORDS)
            for number in range(rounds):
                for run in (_ours, _peer) if number % 2 else (_peer, _ours):
                    run(bench, number, quix)
    except (CannotRun, subprocess.SubprocessError, OSError) as reason:
        bench = Bench("", "", console, problems=[str(reason)])
    note = "; ".join(bench.problems)[:300]
    ours, theirs = bench.samples["ours"], bench.samples["quix"]
    return [at_least("telemetry-features", "rec/s", ours, "Quix Streams, mean and std", theirs, 5, note)]


def _ours(bench: Bench, number: int, _quix: Path) -> None:
    features = f"bench.features-{number}"
    bench.create(features)
    config = bench_config(features, number)
    bench.time(
        "ours",
        features,
        RECORDS,
        [sys.executable, ROOT / "benchmarks" / "telemetry_in_process.py", "--config", config],
        PYTHONPATH=str(ROOT),
        KAFKA_BOOTSTRAP_SERVERS=bench.bootstrap,
        REDIS_URL=bench.redis,
    )


def _peer(bench: Bench, number: int, quix: Path) -> None:
    features = f"bench.quix-{number}"
    bench.create(features)
    bench.time(
        "quix",
        features,
        PEER_RECORDS,
        [quix, PEER],
        KAFKA_BOOTSTRAP_SERVERS=bench.bootstrap,
        RAW_TOPIC="bench.peer",
        FEATURES_TOPIC=features,
        GROUP=f"bench-quix-{os.getpid()}-{number}",
    )


def bench_config(features: str, number: int) -> Path:
    """The configuration of one run: a group and a topic of its own."""
    folder = ROOT / "build" / "bench-telemetry"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "telemetry.yaml").write_text((CONFIG / "telemetry.yaml").read_text())
    plan = (CONFIG / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(f"group: bench-{os.getpid()}-{number}\n{plan}")
    (folder / "topics.yml").write_text(f"raw: {{topic: bench.raw}}\nfeatures: {{topic: {features}}}\n")
    return folder


def _quix(console: Console) -> Path:
    """The peer's Python, in an environment of its own."""
    python = QUIX / "bin" / "python"
    if not python.exists():
        console.print(f"installing quixstreams {QUIX_VERSION} into {QUIX}")
        subprocess.run([sys.executable, "-m", "venv", str(QUIX)], check=True, timeout=120)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", f"quixstreams=={QUIX_VERSION}"],
            check=True,
            timeout=600,
        )
    return python
