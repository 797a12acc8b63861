"""`memory`: resident memory of Router and ingest over a run at half load; it must stay low and flat."""

import json
import subprocess
import threading
import time

import numpy as np
import psutil
from confluent_kafka import Producer
from rich.console import Console

from benchmarks.http import ROW
from benchmarks.programs import ROOT, CannotRun, kafka, mesh, need, redis_server
from benchmarks.results import Row, at_most

CONFIG = ROOT / "benchmarks" / "config-stream16"
SECONDS = 600


def _resident(process: subprocess.Popen[bytes], part: str) -> float:
    """RSS in MB of the largest replica whose process title names `part`; 0 where there is none."""
    found = [0.0]
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if part in " ".join(child.cmdline()):
                found.append(child.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return max(found)


def measure(console: Console, seconds: int = SECONDS) -> list[Row]:
    """Four rows: highest RSS and growth of each; growth compares the last fifth with the second."""
    series: dict[str, list[float]] = {"router": [], "ingest": []}
    note = f"{seconds} s at half load"
    try:
        need("wrk", ROW, "redis-server")
        with kafka() as bootstrap, redis_server() as url:
            environ = {
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "REDIS_URL": url,
                "KAFKA_INFERENCE_TOPIC": "memory",
            }
            with mesh("mesh-memory", CONFIG, **environ) as process:
                give_up = time.monotonic() + seconds
                load = [
                    threading.Thread(target=_requests, args=(give_up,)),
                    threading.Thread(target=_records, args=(bootstrap, give_up)),
                ]
                for thread in load:
                    thread.start()
                while time.monotonic() < give_up and process.poll() is None:
                    for part, values in series.items():
                        values.append(_resident(process, part))
                    time.sleep(2)
                for thread in load:
                    thread.join(30)
    except (CannotRun, OSError) as reason:
        note = str(reason)
    rows = []
    for part, values in series.items():
        taken = [value for value in values if value]
        fifth = len(taken) // 5
        growth = [float(np.mean(taken[-fifth:]) - np.mean(taken[fifth : 2 * fifth]))] if fifth else []
        rows.append(at_most(f"memory-{part}", "MB RSS", [max(taken)] if taken else [], 400, note))
        rows.append(at_most(f"memory-{part}-growth", "MB", growth, 20, note))
    console.print(
        f"memory: {', '.join(f'{part} {max(values, default=0):.0f} MB' for part, values in series.items())}"
    )
    return rows


def _requests(give_up: float) -> None:
    """Busy one second, quiet the next."""
    while time.monotonic() < give_up:
        command = [
            "wrk",
            "-t1",
            "-c16",
            "-d1s",
            "-s",
            str(ROW),
            "http://127.0.0.1:8080/v2/models/mlp/infer",
            "--",
            "oip",
        ]
        subprocess.run(command, capture_output=True, check=False, timeout=30)
        time.sleep(1)


def _records(bootstrap: str, give_up: float) -> None:
    """Bursts of 20,000 records a second, every other second."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "compression.type": "lz4"})
    features = json.dumps([np.random.default_rng(7).normal(size=16).round(4).tolist()])
    number = 0
    while time.monotonic() < give_up:
        for _ in range(20_000):
            producer.produce(
                "memory",
                f'{{"model_id":"default","input_id":"event-{number}","features":{features},"metadata":{{}}}}',
            )
            number += 1
            producer.poll(0)
        producer.flush(10)
        time.sleep(1)
