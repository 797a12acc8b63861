"""`telemetry-alert-latency`, `telemetry-flood-*`: the whole mesh with the shipped chain, on simulated machines at their pace.

Latency is the mesh's own: from the reading that closed a window to the decision on it, read from its metrics as a user would.
"""

import math
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families as families
from rich.console import Console

from benchmarks.programs import ROOT, CannotRun, kafka, mesh, redis_server
from benchmarks.results import Row, at_most, reaches
from mesh.cli.simulating import Wanted, run_of
from mesh.simulation.run import Sent
from mesh.spec import load_scenario, load_telemetry

API, METRICS = "http://127.0.0.1:8080", "http://127.0.0.1:9464/metrics"
HISTOGRAM = "mesh_reading_to_alert_seconds_bucket"
STEADY_ASSETS, WARM_S, STEADY_S = 2_000, 90, 40
"""A window needs 64 s of readings; before that nothing is decided."""
FLOOD_ASSETS, FLOOD_BEGINS_S, FLOOD_S, AFTER_S, TIMES = 2_000, 80, 30, 60, 20
MAKE_S = 150
TOGETHER = 20
"""Records between two looks at the clock."""
DEADLINE_S = 2.0
CRITICAL = [f"pump-{number}" for number in range(1, 21)]

Buckets = Mapping[float, float]


@dataclass(slots=True)
class Watched:
    """What the metrics said in a second: the level, and decisions so far by latency bucket, over all levels."""

    levels: list[int] = field(default_factory=list)
    buckets: list[dict[float, float]] = field(default_factory=list)

    def look(self) -> None:
        """One scrape."""
        found: dict[float, float] = {}
        level = 0.0
        for family in families(httpx.get(METRICS, timeout=10).text):
            for sample in family.samples:
                if sample.name == HISTOGRAM:
                    bound = float(sample.labels["le"])
                    found[bound] = found.get(bound, 0.0) + sample.value
                elif sample.name == "mesh_telemetry_level":
                    level = max(level, sample.value)
        self.levels.append(int(level))
        self.buckets.append(found)


def measure(console: Console) -> list[Row]:
    """All rows; one start of the mesh."""
    try:
        with kafka() as bootstrap, redis_server() as url, _config() as config:
            environ = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "REDIS_URL": url}
            with mesh("mesh-telemetry-live", config, **environ):
                return [*_steady(config, environ, console), *_flood(config, environ, console)]
    except (CannotRun, OSError, httpx.HTTPError) as reason:
        return [at_most("telemetry-alert-latency", "ms p95", [], 250, str(reason))]


def _steady(config: Path, environ: Mapping[str, str], console: Console) -> list[Row]:
    scenario = {"description": "Nothing is wrong.", "duration_s": WARM_S + STEADY_S}
    watched = _play("steady", scenario, STEADY_ASSETS, config, environ)
    p95 = quantile(watched.buckets[WARM_S], watched.buckets[-1], 0.95)
    decided = _total(watched.buckets[-1]) - _total(watched.buckets[WARM_S])
    console.print(
        f"telemetry-alert-latency: p95 {1e3 * p95:.0f} ms, {decided:,.0f} windows, levels {set(watched.levels)}"
    )
    note = f"{STEADY_ASSETS:,} records/s, {decided / STEADY_S:,.0f} windows/s scored by the model"
    return [at_most("telemetry-alert-latency", "ms p95", [1e3 * p95], 250, note)]


def _flood(config: Path, environ: Mapping[str, str], console: Console) -> list[Row]:
    fault = {"kind": "level_shift", "assets": CRITICAL, "sensors": ["flow"], "size": -40}
    scenario = {
        "description": "A flood, and in it critical machines whose flow shifts.",
        "duration_s": FLOOD_BEGINS_S + FLOOD_S + AFTER_S,
        "faults": [
            {"kind": "flood", "share": 1, "begins_s": FLOOD_BEGINS_S, "lasts_s": FLOOD_S, "size": TIMES},
            {**fault, "begins_s": FLOOD_BEGINS_S + 10, "lasts_s": FLOOD_S + 20},
        ],
    }
    watched = _play("flood", scenario, FLOOD_ASSETS, config, environ)
    within = share_within(watched.buckets[0], watched.buckets[-1], DEADLINE_S)
    p95 = quantile(watched.buckets[FLOOD_BEGINS_S], watched.buckets[-1], 0.95)
    told = {
        alert["asset"]
        for alert in httpx.get(f"{API}/alerts", params={"severity": "critical", "limit": 200}).json()[
            "alerts"
        ]
    }
    found = len(told & set(CRITICAL))
    highest, last = max(watched.levels), watched.levels[-1]
    console.print(
        f"telemetry-flood: p95 {1e3 * p95:.0f} ms, {100 * within:.1f} % in time, highest level L{highest}, "
        f"last L{last}, critical alerts {found} of {len(CRITICAL)}"
    )
    note = f"highest level L{highest}, at the end L{last}; {FLOOD_ASSETS * TIMES:,} records/s sent"
    return [
        at_most("telemetry-flood-p95", "ms p95", [1e3 * p95], 1e3 * DEADLINE_S, note),
        reaches("telemetry-flood-critical", "% told", 100 * found / len(CRITICAL), 100),
        at_most("telemetry-flood-level-after", "level", [float(last)], 0, note),
    ]


def _play(name: str, scenario: object, assets: int, config: Path, environ: Mapping[str, str]) -> Watched:
    """Feed a scenario at its own pace, and look at the metrics once a second until it ended.

    Its records are made before: making them takes as much processor time as the chain.
    """
    path = config / "scenarios" / f"bench-{name}.yaml"
    path.write_text(yaml.safe_dump(scenario))
    telemetry = load_telemetry(config)
    begins_s = time.time() + MAKE_S
    start = datetime.fromtimestamp(begins_s, UTC).isoformat()
    wanted = Wanted(7, math.inf, assets=assets, start=start)
    run = run_of(load_scenario(path.parent, str(path), telemetry), telemetry, ROOT, wanted, time.time())
    records = list(run.records())
    if time.time() > begins_s:
        raise CannotRun(f"making {len(records):,} records took more than {MAKE_S} s")
    watched = Watched()
    feeding = threading.Thread(target=_feed, args=(records, begins_s, environ["KAFKA_BOOTSTRAP_SERVERS"]))
    time.sleep(max(0.0, begins_s - time.time()))
    feeding.start()
    while feeding.is_alive():
        time.sleep(max(0.0, begins_s + len(watched.levels) - time.time()))
        watched.look()
    return watched


def _feed(records: Sequence[Sent], begins_s: float, bootstrap: str) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 500_000}
    )
    for at, record in enumerate(records):
        if at % TOGETHER == 0:
            producer.poll(0)
            time.sleep(max(0.0, begins_s + record.seconds - time.time()))
        producer.produce("hyperstream.raw", record.value, record.key)
    producer.flush(30)


@contextmanager
def _config() -> Iterator[Path]:
    """The shipped configuration with some machines that matter."""
    folder = Path(tempfile.mkdtemp(prefix="bench-telemetry-"))
    try:
        shutil.copytree(ROOT / "config", folder / "config")
        for shared in ("models", "data"):
            (folder / shared).symlink_to(ROOT / shared)
        file = folder / "config" / "telemetry.yaml"
        declared = yaml.safe_load(file.read_text())
        declared.setdefault("assets", {})["criticality"] = dict.fromkeys(CRITICAL, 3)
        file.write_text(yaml.safe_dump(declared))
        yield folder / "config"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quantile(before: Buckets, after: Buckets, q: float) -> float:
    """Of what came between two looks, linear within a bucket, as Prometheus has it; the last finite bound past that."""
    bounds, counts = _between(before, after)
    wanted = q * counts[-1]
    below = next(at for at, count in enumerate(counts) if count >= wanted)
    if bounds[below] == float("inf"):
        return bounds[below - 1]
    low, under = (bounds[below - 1], counts[below - 1]) if below else (0.0, 0.0)
    return low + (bounds[below] - low) * (wanted - under) / max(counts[below] - under, 1e-9)


def share_within(before: Buckets, after: Buckets, seconds: float) -> float:
    """The share of what came between two looks that took at most so long, by the bucket that ends there or before."""
    bounds, counts = _between(before, after)
    inside = [count for bound, count in zip(bounds, counts, strict=True) if bound <= seconds]
    return inside[-1] / counts[-1] if inside and counts[-1] else 0.0


def _between(before: Buckets, after: Buckets) -> tuple[list[float], Sequence[float]]:
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    if not counts or not counts[-1]:
        raise CannotRun("no window was decided on; see build/bench-logs/mesh-telemetry-live.log")
    return bounds, counts


def _total(buckets: Buckets) -> float:
    return buckets.get(float("inf"), 0.0)
