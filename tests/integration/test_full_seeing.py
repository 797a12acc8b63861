"""One running stack, seen: every panel has data, alerts fire on a fault and end after it, traces lead from a client's request and
a record's header to the models and Redis, a flood of names leaves no series, and a dead replica takes none away.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from full_stack import LANE_GRPC, LANE_HTTP, METRICS, ROOT, TOPIC, FullStack, full_stack
from otlp_receiver import OtlpReceiver, Received
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import PORT as PROMETHEUS
from prometheus_server import LivePrometheus
from ray_mesh import until

from mesh.dashboards.__main__ import dashboards
from mesh.dashboards.panel import WINDOW
from mesh.rollouts.plan import AlertRule, Plan, Step
from mesh.spec import load_prices
from serve.rollout_guards import PrometheusGuards

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

API = f"http://127.0.0.1:{LANE_HTTP}"
PAGE = f"http://127.0.0.1:{METRICS}/metrics"
SHIPPED_MODELS = ("rules", "anomaly", "degrader")
ALERTS = """
budget: {per: 10m, alerts: 100}
rules:
  - name: unusual
    when: "z >= 20"
    severity: warning
    hold_off: 10m
    clear_when: "z < 5"
    clear_for: 10s
    summary: "{asset}: {sensor} is {z:.0f} deviations from usual"
"""
REVIEW = """
audit: {least_per_hour: 1000000}
unsure: {disagreement: 0.000001, per_hour: 1000, quiet: 0s}
"""
SCENARIO = """
description: One flow shifts far.
duration_s: 420
faults:
  - {kind: level_shift, assets: [pump-3], sensors: [flow], begins_s: 300, lasts_s: 30, size: 40}
"""
TRACES = {"http": "1" * 32, "grpc": "2" * 32, "kafka": "3" * 32}
SENDER = "00f067aa0ba902b7"
ROLLOUT = Plan(
    "try", "default", "anomaly", "degrader", AlertRule(0.8), (Step("promote"),), (), freeze_when=("alerts",)
)


@dataclass(frozen=True)
class Seen:
    stack: FullStack
    prometheus: LivePrometheus
    receiver: OtlpReceiver


def config_in(folder: Path) -> Path:
    """The shipped rules and three shipped models, the anomaly model with a short patience, and raw telemetry."""
    import yaml

    config = folder / "config"
    config.mkdir()
    (folder / "models").symlink_to(ROOT / "models")
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    kept = {name: models[name] for name in SHIPPED_MODELS}
    kept["anomaly"]["timeout_s"] = 0.5
    (config / "models.yaml").write_text(yaml.safe_dump({"models": kept}))
    for name in ("routing.yaml", "telemetry.yaml"):
        shutil.copy(ROOT / "config" / name, config)
    (config / "alerts.yaml").write_text(ALERTS)
    (config / "review.yaml").write_text(REVIEW)
    (config / "pipeline.yaml").write_text("snapshot_ms: 500\n")
    (folder / "shift.yaml").write_text(SCENARIO)
    return config


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("seeing")
    receiver = OtlpReceiver()
    environ = {
        "MESH_TRACE_RATIO": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "MESH_LOG_FORMAT": "json",
    }
    with full_stack(folder, config_in(folder), **environ) as stack:
        stack.kafka.create(
            "hyperstream.raw", "hyperstream.features", "hyperstream.alerts", "hyperstream.truth"
        )
        until(lambda: len(stack.up.actors("ServeReplica:telemetry")) == 1, 180)
        prometheus = LivePrometheus(folder / "prometheus", f"127.0.0.1:{METRICS}")
        try:
            load(stack, folder / "shift.yaml")
            yield Seen(stack, prometheus, receiver)
        finally:
            prometheus.close()
    receiver.close()


def load(stack: FullStack, scenario: Path) -> None:
    """Records of the shipped table, simulated telemetry with a fault, and requests, for as long as the simulation takes."""
    simulate = ("simulate", "--scenario", str(scenario), "--assets", "10", "--speed", "40x", "--seed", "3")
    running = command(stack, *simulate)
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap})
    place = 0
    while running.poll() is None:
        row = [float(place % 7)] * 24
        parameters: dict[str, object] = {"mesh_attributes": {"rollout": True}, "mesh_keys": [f"key-{place}"]}
        infer("default", row, parameters)
        producer.produce(TOPIC, json.dumps({"features": [row], "metadata": {"rollout": True}}).encode())
        producer.poll(0)
        place += 1
        time.sleep(0.02)
    assert running.returncode == 0
    assert producer.flush(120) == 0
    until(lambda: stack.logged() >= place, 90)


def command(stack: FullStack, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mesh.cli", *words],
        env=stack.up.environ, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def infer(
    endpoint: str,
    row: list[float],
    parameters: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    body = {
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 24], "data": row}],
        **({"parameters": parameters} if parameters else {}),
    }
    return httpx.post(f"{API}/v2/models/{endpoint}/infer", json=body, headers=headers, timeout=60)


def send(stack: FullStack, values: list[bytes], headers: list[tuple[str, bytes]] | None = None) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap})
    for value in values:
        producer.produce(TOPIC, value, headers=headers or [])
    assert producer.flush(120) == 0


def page() -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(httpx.get(PAGE, timeout=60).text)
        for sample in family.samples
    }


def test_every_panel_of_every_dashboard_has_data(seen: Seen) -> None:
    queries: dict[str, str] = {}
    for dashboard in dashboards(load_prices(ROOT / "config")):
        for panel in dashboard.panels():
            for query in panel.queries:
                expr = query.expr.replace(WINDOW, "30s")
                for name, value in dashboard.constants.items():
                    expr = expr.replace(f"${name}", f"{value:g}")
                queries[f"{dashboard.title}, {panel.title}: {expr}"] = expr

    def all_have_data() -> bool:
        for told, expr in list(queries.items()):
            if seen.prometheus.query(expr):
                del queries[told]
        return not queries

    # Figures are pushed and scraped once a second.
    until(all_have_data, 10, lambda: "nothing in\n" + "\n".join(queries))


def test_people_are_asked_about_rows_of_every_way_in_with_what_each_model_said(seen: Seen) -> None:
    def found(source: str) -> list[dict[str, Any]]:
        reply = httpx.get(f"{API}/review/queue", params={"source": source, "limit": 200}, timeout=60)
        items: list[dict[str, Any]] = reply.json()["items"]
        return items

    def ways() -> set[str]:
        return {(item["record"] or "request").partition("-")[0] for item in found("audit")}

    until(lambda: {"request", TOPIC, "hyperstream.raw"} <= ways(), 60)
    assert {item["prediction"] for item in found("audit")} == {None}

    def voices() -> list[set[str]]:
        return [set(item["prediction"]["voices"]) for item in found("unsure")]

    until(
        lambda: any({"rules", "anomaly", "degrader"} <= said for said in voices()),
        20,
        lambda: f"{voices()[:5]}",
    )
    offered = ("mesh_review_offered_rows_total", "offered", "audit")
    until(lambda: page().get(offered, 0) >= 3, 20)
    until(lambda: any(key[0] == "mesh_review_items" for key in page()), 20)


def test_one_scrape_shows_all_processes(seen: Seen) -> None:
    def found() -> set[str]:
        return {key[-1] for key in page() if key[0] == "mesh_process_resident_bytes"}

    until(lambda: found() >= {"router", "ingest", "telemetry", *SHIPPED_MODELS}, 20, lambda: f"{found()}")


def test_a_request_is_followed_to_its_models(seen: Seen) -> None:
    header = f"00-{TRACES['http']}-{SENDER}-01"
    reply = infer("default", [0.0] * 24, headers={"traceparent": header, "x-request-id": "mine"})
    assert reply.status_code == 200, reply.text
    own, calls = trace_of(seen, TRACES["http"], "infer default", "call rules")
    assert own.parent == SENDER
    assert own.attributes["mesh.endpoint"] == "default"
    assert own.attributes["mesh.status"] == "200"
    assert own.events == ("feature_flag.evaluation",)
    rules = next(call for call in calls if call.name == "call rules")
    assert rules.parent == own.span
    assert rules.attributes["mesh.model.version"] == "1"
    assert rules.attributes["mesh.decision"] in ("stands", "superseded")
    assert not any("features" in str(span.attributes) for span in (own, *calls))


def test_a_call_over_grpc_is_followed_too(seen: Seen) -> None:
    import numpy as np
    from tritonclient import grpc

    numbers = iter(range(1, 1_000_000))
    traces: list[str] = []
    with grpc.InferenceServerClient(f"127.0.0.1:{LANE_GRPC}") as client:
        tensor = grpc.InferInput("features", [1, 24], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 24), np.float32))

        def answered() -> bool:
            traces.append(f"{TRACES['grpc'][:20]}{next(numbers):012}")
            try:
                client.infer("anomaly", [tensor], headers={"traceparent": f"00-{traces[-1]}-{SENDER}-01"})
            except grpc.InferenceServerException:
                # A busy machine may take longer than the patience with this model
                return False
            return True

        until(answered, 60)
    own, calls = trace_of(seen, traces[-1], "infer anomaly", "call anomaly")
    assert own.attributes["mesh.status"] == "OK"
    (call,) = calls
    assert (call.name, call.attributes["mesh.role"], call.attributes["mesh.decision"]) == (
        "call anomaly",
        "primary",
        "stands",
    )


def test_a_record_is_followed_to_redis(seen: Seen) -> None:
    value = json.dumps({"input_id": "traced", "features": [[0.0] * 24]}).encode()
    send(seen.stack, [value], [("traceparent", f"00-{TRACES['kafka']}-{SENDER}-01".encode())])
    until(lambda: any(span.trace == TRACES["kafka"] for span in seen.receiver.spans()), 60)
    (record,) = [span for span in seen.receiver.spans() if span.trace == TRACES["kafka"]]
    assert (record.process, record.name, record.parent) == ("ingest", f"process {TOPIC}", SENDER)
    assert record.attributes["messaging.kafka.offset"].isdigit()
    (batch_trace,) = record.links
    batch, _ = trace_of(seen, batch_trace, f"process batch {TOPIC}", "call rules", "publish redis")
    assert TRACES["kafka"] in batch.links


def test_an_alert_is_followed_from_its_readings(seen: Seen) -> None:
    until(lambda: any(span.name == "alert" for span in seen.receiver.spans()), 60)
    alert = next(span for span in seen.receiver.spans() if span.name == "alert")
    assert (alert.process, alert.attributes["mesh.alert.rules"]) == ("telemetry", "unusual")

    def spans() -> set[str]:
        return {span.name for span in seen.receiver.spans() if span.trace == alert.trace}

    wanted = {"process batch hyperstream.raw", "compute features", "send features"}
    until(lambda: wanted <= spans(), 20, lambda: f"{spans()}")


def trace_of(seen: Seen, trace: str, name: str, *children: str) -> tuple[Received, list[Received]]:
    """The span of this name, and those below it, once these are among them."""

    def family() -> tuple[list[Received], list[Received]]:
        spans = [span for span in seen.receiver.spans() if span.trace == trace]
        own = [span for span in spans if span.name == name][:1]
        return own, [span for span in spans if own and span.parent == own[0].span]

    until(lambda: {*children} <= {span.name for span in family()[1]}, 60, lambda: f"{family()}")
    (own,), below = family()
    return own, below


def test_alerts_fire_while_a_model_hangs_and_end_when_it_is_back(seen: Seen) -> None:
    quiet = {"MeshErrorsHigh", "MeshBreakerOpen", "MeshMetricsAway"}
    # A slow machine may have burnt a model's patience before
    until(lambda: not quiet & seen.prometheus.firing(), 120)
    hung = seen.stack.up.actor("ServeReplica:mesh:anomaly")
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.05):
            infer("anomaly", [0.0] * 24)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        for thread in asking:
            thread.start()
        until(lambda: {"MeshErrorsHigh", "MeshBreakerOpen"} <= seen.prometheus.firing(), 90)
        guards = PrometheusGuards(f"http://127.0.0.1:{PROMETHEUS}")
        told = "MeshBreakerOpen: anomaly: its breaker opens again and again"
        until(lambda: told in str(asyncio.run(guards.holding(ROLLOUT)).get("alerts", "")), 20)
    finally:
        with contextlib.suppress(ProcessLookupError):  # Serve ends a replica that it misses for long
            os.kill(hung.pid, signal.SIGCONT)
    try:
        until(lambda: not {"MeshErrorsHigh", "MeshBreakerOpen"} & seen.prometheus.firing(), 120)
    finally:
        ended.set()
        for thread in asking:
            thread.join(65)


def test_floods_of_names_leave_no_series(seen: Seen) -> None:
    before = len(page())
    with httpx.Client(base_url=API, timeout=60) as client:
        for number in range(150):
            assert client.post(f"/v2/models/flood-{number}/infer", json={"inputs": []}).status_code == 404
    send(
        seen.stack, [json.dumps({"model_id": f"flood-{n}", "features": [[0.0]]}).encode() for n in range(150)]
    )
    until(lambda: page().get(("mesh_ingest_dead_letters_total", "unknown_model", TOPIC), 0) >= 150, 20)
    after = page()
    assert not [key for key in after if "flood" in str(key)]
    # The first errors of any name, in each metric that counts them; one series a name would be 300 and more.
    assert len(after) - before < 150
    until(lambda: "MeshDeadLetters" in seen.prometheus.firing(), 30)


def test_a_dead_replica_takes_nothing_away(seen: Seen) -> None:
    key = ("mesh_ingest_records_total", TOPIC)
    before = page()
    victim = seen.stack.up.actor("ServeReplica:ingest")
    victim.kill()
    until(
        lambda: [one.pid for one in seen.stack.up.actors("ServeReplica:ingest")] not in ([], [victim.pid]),
        120,
    )
    send(seen.stack, [json.dumps({"features": [[0.0] * 24]}).encode()] * 50)
    until(lambda: page().get(key, 0) >= before[key] + 50, 120)
    after = page()
    for name, *labels in before:
        if str(name).endswith(("_total", "_count")):
            assert after[name, *labels] >= before[name, *labels], (name, labels)
