"""Stream rows: records already in a real Kafka, answered into a real Redis, by us and by the peers, timed by `measure.py`."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks.programs import (
    HYPERSTREAM,
    LOGS,
    PEERS,
    ROOT,
    CannotRun,
    clean_environment,
    kafka,
    need,
    redis_server,
)
from benchmarks.results import Row, at_least

IDS = ("stream-16-batch", "stream-16-streams", "stream-784-batch", "stream-adapter")
MEASURE = PEERS / "stream" / "measure.py"
PRODUCE = PEERS / "stream" / "produce.py"
JVM = PEERS / "jvm" / "run"
ADAPTER = ROOT / "benchmarks" / "peers" / "ray_adapter.py"


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of record."""

    width: int
    records: int
    config: Path
    model: Path
    peer_env: dict[str, str] = field(default_factory=dict)


NARROW = Shape(16, 2_000_000, ROOT / "benchmarks" / "config-stream16", PEERS / "models" / "mlp-16-64-4.onnx")
WIDE = Shape(
    784,
    200_000,
    ROOT / "benchmarks" / "config-stream784",
    PEERS / "models" / "mlp-784-32-32-32-10.onnx",
    {"WIDTH": "784", "BATCH": "500", "LOG": "10000"},
)


READERS = {"INGEST_MIN_READERS": "2", "INGEST_MAX_READERS": "2"}
"""Scaling by lag would start a process and move partitions in the middle of the seconds that are measured."""


@dataclass(slots=True)
class Bench:
    """The servers of one run and what was measured on them."""

    bootstrap: str
    redis: str
    console: Console
    groups: int = 0
    samples: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)

    def fill(self, topic: str, records: int, width: int) -> None:
        """Produce numbered records with acks=all."""
        self.console.print(f"filling {topic}: {records:,} records of {width} features")
        subprocess.run(
            [
                sys.executable,
                str(PRODUCE),
                "--bootstrap",
                self.bootstrap,
                "--topic",
                topic,
                "--records",
                str(records),
                "--width",
                str(width),
            ],
            check=True,
            timeout=600,
        )

    def time(
        self, name: str, topic: str, records: int, command: Sequence[str | Path], env: dict[str, str]
    ) -> None:
        """One timed run with a group of its own; a run that loses anything is a problem, not a sample."""
        self.groups += 1
        LOGS.mkdir(parents=True, exist_ok=True)
        with (LOGS / f"stream-{name}.log").open("ab") as log:
            done = subprocess.run(
                [
                    sys.executable,
                    str(MEASURE),
                    "--bootstrap",
                    self.bootstrap,
                    "--redis",
                    self.redis,
                    "--topic",
                    topic,
                    "--group",
                    f"bench-{os.getpid()}-{self.groups}",
                    "--records",
                    str(records),
                    "--",
                    *map(str, command),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment(**env),
                cwd=ROOT,
                text=True,
                check=False,
                timeout=420,
            )
        lines = done.stdout.strip().splitlines()
        figures = json.loads(lines[-1]) if lines else {}
        self.console.print(f"  {name}: {figures or 'no result'}")
        if done.returncode == 0 and figures.get("rate"):
            self.samples[name].append(figures["rate"])
            self.samples[f"{name}-cpu-us"].append(1e6 * figures["cpu_seconds"] / (records * 0.75))
        else:
            self.problems.append(f"{name}: {figures or 'no result'}")


def ours(bench: Bench, shape: Shape, topic: str) -> None:
    """The whole mesh as `hyperstream up` starts it, with as many readers as the peer has threads from the start on."""
    command = [*HYPERSTREAM, "up", "--no-feed"]
    env = {"MESH_CONFIG": str(shape.config), "MESH_HTTP_PORT": "", "MESH_GRPC_PORT": "", **READERS}
    bench.time(f"ours-{shape.width}", topic, shape.records, command, env)


def batch(bench: Bench, shape: Shape, topic: str, threads: int = 2) -> None:
    """The hand-written Java consumer."""
    env = {"ML_MODEL_PATH": str(shape.model), "THREADS": str(threads)} | shape.peer_env
    bench.time(f"batch-{shape.width}-{threads}", topic, shape.records, [JVM, "batch"], env)


def streams(bench: Bench, shape: Shape, topic: str) -> None:
    """Kafka Streams, record by record."""
    bench.time("streams", topic, shape.records, [JVM, "streams"], {"ML_MODEL_PATH": str(shape.model)})


def adapter(bench: Bench, topic: str, records: int) -> None:
    """The obvious adapter on stock Ray Serve."""
    bench.time("adapter", topic, records, [sys.executable, ADAPTER], {"ML_MODEL_PATH": str(NARROW.model)})


def measure(rounds: int, console: Console, only: str | None = None) -> list[Row]:
    """All stream rows."""
    try:
        need(MEASURE, JVM, "java", "redis-server")
        with kafka() as bootstrap, redis_server() as url:
            bench = Bench(bootstrap, url, console)
            if only in (None, "stream-16", "stream"):
                _narrow(bench, rounds)
            if only in (None, "stream-784", "stream"):
                _wide(bench, rounds)
            if only in (None, "stream-adapter", "stream"):
                _adapter(bench)
    except (CannotRun, subprocess.SubprocessError, OSError) as reason:
        bench = Bench("", "", console, problems=[str(reason)])
    return _rows(bench, only)


def _narrow(bench: Bench, rounds: int) -> None:
    bench.fill("t16", NARROW.records, NARROW.width)
    for round_ in range(rounds):
        runs = [ours, batch, streams]
        for run in reversed(runs) if round_ % 2 else runs:
            run(bench, NARROW, "t16")


def _wide(bench: Bench, rounds: int) -> None:
    bench.fill("t784", WIDE.records, WIDE.width)
    for round_ in range(rounds):
        for threads in (1, 2) if round_ % 2 else (2, 1):
            batch(bench, WIDE, "t784", threads)
        ours(bench, WIDE, "t784")


def _adapter(bench: Bench) -> None:
    records = 8_000  # at its rate two million would take hours
    bench.fill("tadapter", records, NARROW.width)
    adapter(bench, "tadapter", records)


def _rows(bench: Bench, only: str | None) -> list[Row]:
    note = "; ".join(bench.problems)[:300]
    taken = bench.samples
    wide = max(
        (taken["batch-784-1"], taken["batch-784-2"]), key=lambda rates: median(rates) if rates else 0.0
    )
    rows = [
        at_least(
            "stream-16-batch",
            "rec/s",
            taken["ours-16"],
            "Java batch consumer",
            taken["batch-16-2"],
            0.9,
            note,
        ),
        at_least("stream-16-streams", "rec/s", taken["ours-16"], "Kafka Streams", taken["streams"], 3, note),
        at_least("stream-784-batch", "rec/s", taken["ours-784"], "Java batch consumer", wide, 1.5, note),
        at_least(
            "stream-adapter",
            "rec/s",
            taken["ours-16"],
            "consume-one adapter on stock Serve",
            taken["adapter"],
            100,
            note,
        ),
    ]
    return [row for row in rows if only in (None, "stream") or row.id.startswith(only)]
