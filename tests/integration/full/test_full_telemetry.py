"""Raw telemetry through the whole mesh: simulated, alerted on, read over the API, while the reader is killed."""

import json
import re
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from full_stack import LANE_HTTP, METRICS, TOPIC, FullStack
from ray_mesh import until
from stream_checker import Numbering

from mesh.records.kafka_heads import published_heads

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

API = f"http://127.0.0.1:{LANE_HTTP}"
ASSETS, SECONDS = 20, 400
SCENARIO = f"""
description: One flow shifts far.
duration_s: {SECONDS}
faults:
  - {{kind: level_shift, assets: [pump-3], sensors: [flow], begins_s: 300, lasts_s: 60, size: 40}}
"""


def simulate(stack: FullStack, scenario: Path, *more: str) -> subprocess.Popen[str]:
    fleet = ("--scenario", str(scenario), "--assets", str(ASSETS), "--speed", "20x", "--seed", "3")
    return command(stack, scenario.parent, "simulate", *fleet, *more)


def command(stack: FullStack, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mesh.cli", *words],
        env=stack.up.environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_all(stack: FullStack, topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.value()) for message in read_messages(stack, topic)]


def read_messages(stack: FullStack, topic: str) -> list[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka.bootstrap,
            "group.id": f"{topic}.check",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    found: list[Message] = []
    ended: set[int] = set()
    try:
        while len(ended) < 4:
            for message in consumer.consume(1_000, 1.0):
                error = message.error()
                if error is None:
                    found.append(message)
                else:
                    ended.add(message.partition())
    finally:
        consumer.close()
    return found


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{API}/alerts", timeout=60).json()["alerts"]
    return found


def committed(stack: FullStack) -> int:
    """Raw records up to the group's offsets."""
    return sum(
        max(0, at) for at in stack.kafka.committed("hyperstream.raw", "hyperstream-telemetry").values()
    )


def produced(stack: FullStack) -> int:
    """Raw records that Kafka has ever taken."""
    consumer = Consumer({"bootstrap.servers": stack.kafka.bootstrap, "group.id": "ends.check"})
    try:
        places = [TopicPartition("hyperstream.raw", partition) for partition in range(4)]
        return sum(consumer.get_watermark_offsets(place, timeout=60)[1] for place in places)
    finally:
        consumer.close()


def test_a_fault_becomes_one_alert_though_its_reader_is_killed(stack: FullStack, tmp_path: Path) -> None:
    scenario = tmp_path / "shift.yaml"
    scenario.write_text(SCENARIO)
    feeding = simulate(stack, scenario)
    until(lambda: committed(stack) >= ASSETS * SECONDS // 3, 120, stack.up.said)
    victim = stack.up.actor("ServeReplica:telemetry")
    victim.kill()
    said, _ = feeding.communicate(timeout=240)
    assert feeding.returncode == 0, said
    until(lambda: committed(stack) == ASSETS * SECONDS, 150, stack.up.said)
    assert stack.up.actor("ServeReplica:telemetry").pid != victim.pid

    until(lambda: len(alerts()) > 0, 60)
    (alert,) = alerts()
    assert (alert["rule"], alert["asset"]) == ("unusual", "pump-3")
    assert "flow is" in alert["summary"]
    told = read_all(stack, "hyperstream.alerts")
    assert {one["id"] for one in told} == {alert["id"]}

    windows = [
        (one["metadata"]["asset"], one["metadata"]["ts"]) for one in read_all(stack, "hyperstream.features")
    ]
    per_asset = {asset: sorted({ts for name, ts in windows if name == asset}) for asset, _ in windows}
    assert len(per_asset) == ASSETS
    for asset, times in per_asset.items():
        gaps = {after - before for before, after in pairwise(times)}
        assert gaps == {8_000}, f"{asset} misses windows: {gaps}"


def test_the_newest_features_and_the_alert_are_served_and_the_alert_can_be_resolved(stack: FullStack) -> None:
    row = httpx.get(f"{API}/features/pump-3", timeout=60)
    assert row.status_code == 200, row.text
    assert len(row.json()["features"]) == 16 * 21
    assert httpx.get(f"{API}/features/nobody", timeout=60).status_code == 404
    (alert,) = alerts()
    if alert["state"] == "open":
        done = httpx.post(
            f"{API}/alerts/{alert['id']}/resolve", json={"actor": "ann", "note": "valve"}, timeout=60
        )
        assert done.json()["state"] == "resolved"
        (entry,) = httpx.get(f"{API}/audit", params={"action": "alerts.*"}, timeout=60).json()["entries"]
        assert (entry["actor"], entry["via"], entry["target"]) == ("ann", "local", f"alert:{alert['id']}")
        assert entry["detail"] == {"note": "valve"}
        broker = stack.kafka.bootstrap
        until(
            lambda: entry["hash"] in [head.hash for head in published_heads(broker, "hyperstream.audit")], 60
        )
    assert httpx.get(f"{API}/alerts", params={"state": "open"}, timeout=60).json()["alerts"] == []


def test_whoever_decides_on_the_alert_sees_the_hours_around_it(stack: FullStack) -> None:
    def waiting() -> list[dict[str, Any]]:
        queue = httpx.get(f"{API}/review/queue", params={"asset": "pump-3"}, timeout=60).json()["items"]
        return [one for one in queue if one["source"] == "alert"]

    until(lambda: len(waiting()) == 1, 30)

    def rows() -> int:
        case = httpx.get(f"{API}/review/items/{waiting()[0]['id']}", timeout=60).json()
        return len(case["signal"]["times"]) if case["signal"] else 0

    until(lambda: rows() >= SECONDS // 8 // 2, 30, stack.up.said)


SPARING = """
description: One flow shifts far, later than the other did.
duration_s: 160
faults:
  - {kind: level_shift, assets: [pump-5], sensors: [flow], begins_s: 110, lasts_s: 50, size: 40}
"""


def test_machines_that_spare_readings_are_still_alerted_on_and_the_mesh_says_what_it_costs(
    stack: FullStack, tmp_path: Path
) -> None:
    scenario = tmp_path / "sparing.yaml"
    scenario.write_text(SPARING)
    pricing = command(
        stack, tmp_path, "cost", "--interval", "15", "--json", "--precision", "1", "--url", f"http://127.0.0.1:{METRICS}/metrics"
    )  # fmt: skip
    feeding = ordinary(stack, pricing)
    said, _ = simulate(stack, scenario, "--sampling", "--watch", API).communicate(timeout=240)
    share = re.search(r"([0-9.]+)% of ([0-9,]+) readings were sent", said)
    assert share is not None, said
    assert 1 < float(share[1]) < 90
    until(lambda: any(one["asset"] == "pump-5" for one in alerts()), 30, stack.up.said)
    bill = json.loads(pricing.communicate(timeout=240)[0])
    feeding.join(60)
    assert {"router", "telemetry", "ingest"} <= bill["by_owner"].keys()
    assert bill["per_hour"] == pytest.approx(sum(bill["by_owner"].values()))
    assert bill["per_1000_records"] > 0
    for one in alerts():
        httpx.post(f"{API}/alerts/{one['id']}/resolve", json={"actor": "ann"}, timeout=60)


def ordinary(stack: FullStack, until_ended: subprocess.Popen[str]) -> threading.Thread:
    """Records for the models until a process has ended: whenever it looks, there are some."""

    def feed() -> None:
        numbering = Numbering(stack.kafka.bootstrap, TOPIC, poison_every=1_000_000)
        while until_ended.poll() is None:
            numbering.send(10)
            time.sleep(0.2)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    return thread


def record(asset: str, ts: object, sensors: object) -> bytes:
    return json.dumps({"asset": asset, "ts": ts, "sensors": sensors}).encode()


def refused() -> list[tuple[str, bytes]]:
    """What can never be taken, with the class of its dead letter."""
    ahead = (time.time() + 3_600) * 1e3
    return [
        ("NotJson", b"{"),
        ("NotJson", b'{"asset": "odd", "ts": 0, "sensors": {"flow": NaN}}'),
        ("NoFeatures", record("odd", 0, {})),
        ("EmptyValue", b""),
        ("WrongType", b'{"asset": 7, "ts": 0, "sensors": {}}'),
        ("BadTime", record("pump-3", ahead, {"flow": 1.0})),
        ("WrongUnit", b'{"asset": "pump-3", "ts": 0, "sensors": {"flow": 1}, "unit": "parsec"}'),
        ("TooLarge", b'{"asset": "' + b"x" * 200_000 + b'"}'),
    ]


def taken(now_ms: float) -> list[bytes]:
    """Odd, and taken: values that are none are flagged and missing."""
    return [
        record("odd", now_ms, {"flow": "twelve"}),
        record("odd", now_ms, {"flow": None}),
        record("odd", now_ms, {"no_such_sensor": 1.0}),
        record("odd", now_ms - 366 * 86_400_000, {"flow": 1.0}),
    ]


def test_garbage_ends_in_the_dead_letters_and_ten_thousand_new_machines_in_bounded_state(
    stack: FullStack,
) -> None:
    topic = "hyperstream.raw"
    now_ms = time.time() * 1e3
    wrong = refused()
    machines = [record(f"new-{number}", now_ms, {"flow": 1.0}) for number in range(12_000)]
    values = [*(value for _, value in wrong), *taken(now_ms), *machines]
    before = produced(stack)
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap, "linger.ms": 20})
    for value in values:
        producer.produce(topic, value, value[:32])
        producer.poll(0)
    assert producer.flush(120) == 0
    until(lambda: committed(stack) == before + len(values), 120, stack.up.said)
    letters = [
        (dict(message.headers() or [])["__connect.errors.exception.class.name"].decode(), message.value())
        for message in read_messages(stack, f"{topic}.dlq")
    ]
    assert sorted(letters) == sorted(wrong)
    # Figures are pushed once a second.
    until(lambda: sum(figures("mesh_telemetry_forgotten_total")) >= 2_000, 30)
    assert max(figures("mesh_telemetry_assets")) <= 10_000


def figures(name: str) -> list[float]:
    """Of every series of a metric whose name begins so."""
    metrics = httpx.get(f"http://127.0.0.1:{METRICS}/metrics", timeout=60).text
    return [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name)]


def test_it_drains(stack: FullStack) -> None:
    assert stack.up.end() < 20
    assert "left uncommitted: 0" in stack.up.lines[-1]
