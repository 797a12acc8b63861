"""HTTP rows: the fast lane and Serve's port against the model in a FastAPI process and on stock Ray Serve, driven by wrk."""

import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from benchmarks.programs import PEERS, ROOT, CannotRun, clean_environment, mesh, need, running, wait_for
from benchmarks.results import Row, at_least

CONFIG = ROOT / "benchmarks" / "config"
FAST, SERVE, METRICS = "http://127.0.0.1:8080", "http://127.0.0.1:8000", "http://127.0.0.1:9464/metrics"
ROW = PEERS / "http" / "row.lua"
RULES = ROOT / "benchmarks" / "rules.lua"
IDS = (
    "http-c64-fastapi",
    "http-c64-stock",
    "http-c64-serve",
    "http-c64-serve-stock",
    "http-c16-fastapi",
    "http-c1-fastapi",
    "http-rules",
)

Samples = defaultdict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often."""

    rounds: int
    seconds: int
    warm_seconds: int


def wrk(url: str, script: Path, arguments: Sequence[str], connections: int, seconds: int) -> dict[str, float]:
    """One wrk run; the last line of its output is JSON. Errors make the run void."""
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(script),
            url,
            "--",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if figures["errors"] or not figures["requests"]:
        raise CannotRun(f"{figures['errors']:.0f} errors in {figures['requests']:.0f} requests to {url}")
    return figures


def _drive(
    samples: Samples, name: str, url: str, kind: str, plan: Plan, connections: Sequence[int] = (1, 16, 64)
) -> None:
    wrk(url, ROW, [kind], 64, plan.warm_seconds)
    for count in connections:
        figures = wrk(url, ROW, [kind], count, plan.seconds)
        samples[f"{name}-c{count}"].append(figures["rps"])
        samples[f"{name}-c{count}-p50"].append(figures["p50_ms"])


def _ours(samples: Samples, plan: Plan) -> None:
    with mesh("mesh-http", CONFIG, "--no-stream"):
        _drive(samples, "fast", f"{FAST}/v2/models/mlp/infer", "oip", plan)
        _drive(samples, "serve", f"{SERVE}/v2/models/mlp/infer", "oip", plan, (64,))
        before = _rules_rows()
        for _ in range(2):  # plain and rules side by side
            samples["plain-rules"].append(
                wrk(f"{FAST}/v2/models/default/infer", RULES, [], 64, plan.seconds)["rps"]
            )
            samples["rules"].append(wrk(f"{FAST}/v2/models/rules3/infer", RULES, [], 64, plan.seconds)["rps"])
        time.sleep(2)  # figures are pushed once a second
        answered, sent = (after - earlier for after, earlier in zip(_rules_rows(), before, strict=True))
        samples["rules-calls"].append(sent / answered)


def _rules_rows() -> tuple[float, float]:
    """Rows that `rules3` has answered, and rows that were sent to its models for that, the shadow included."""
    answered = sent = 0.0
    for family in text_string_to_metric_families(httpx.get(METRICS, timeout=10).text):
        for sample in family.samples:
            if sample.name == "mesh_rows_total" and sample.labels["endpoint"] == "rules3":
                answered += sample.value
            if sample.name == "mesh_model_rows_total" and sample.labels["model"].startswith("trivial-"):
                sent += sample.value
    return answered, sent


def _fastapi(samples: Samples, plan: Plan) -> None:
    command = [sys.executable, PEERS / "http" / "fastapi_in_process.py", "--port", "21601"]
    url = "http://127.0.0.1:21601/infer"
    with running(command, "fastapi", clean_environment()) as process:
        wait_for(url, process, 60, json.dumps({"x": [[0.0] * 16]}).encode())
        _drive(samples, "fastapi", url, "plain", plan)


def _stock(samples: Samples, plan: Plan) -> None:
    command = [sys.executable, PEERS / "http" / "stock_ray_serve.py", "--port", "21602"]
    url = "http://127.0.0.1:21602/infer"
    with running(command, "stock", clean_environment()) as process:
        wait_for(url, process, 120, json.dumps({"x": [[0.0] * 16]}).encode())
        _drive(samples, "stock", url, "plain", plan, (64,))


def measure(plan: Plan, console: Console) -> list[Row]:
    """All HTTP rows. A server that cannot run leaves its rows not met, with the reason."""
    samples: Samples = defaultdict(list)
    problems: list[str] = []
    for round_ in range(plan.rounds):
        servers = [("mesh", _ours), ("FastAPI", _fastapi), ("stock Ray Serve", _stock)]
        for name, drive in reversed(servers) if round_ % 2 else servers:
            console.print(f"http round {round_ + 1}/{plan.rounds}: {name}")
            try:
                need("wrk", ROW)
                drive(samples, plan)
            except (CannotRun, subprocess.SubprocessError, OSError) as reason:
                problems.append(f"{name}: {reason}")
                console.print(f"[red]{problems[-1]}")
    note = "; ".join(problems)
    fast, serve = "FastAPI in process", "stock Ray Serve"
    taken = samples["rules-calls"]
    calls = f"{statistics.median(taken):.2f} model calls a row, the shadow's included" if taken else ""
    return [
        at_least("http-c64-fastapi", "req/s", samples["fast-c64"], fast, samples["fastapi-c64"], 2.0, note),
        at_least("http-c64-stock", "req/s", samples["fast-c64"], serve, samples["stock-c64"], 60, note),
        at_least("http-c64-serve", "req/s", samples["serve-c64"], fast, samples["fastapi-c64"], 0.9, note),
        at_least(
            "http-c64-serve-stock", "req/s", samples["serve-c64"], serve, samples["stock-c64"], 25, note
        ),
        at_least("http-c16-fastapi", "req/s", samples["fast-c16"], fast, samples["fastapi-c16"], 1.5, note),
        at_least("http-c1-fastapi", "req/s", samples["fast-c1"], fast, samples["fastapi-c1"], 0.7, note),
        at_least(
            "http-rules", "req/s", samples["rules"], "plain route", samples["plain-rules"], 0.6, note or calls
        ),
    ]
