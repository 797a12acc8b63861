"""The features topic into the history on a real Kafka, with the materializer killed in the middle: each row once, none lost."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from stream_servers import RealKafka, RealRedis

from mesh.stores.delta_reader import FOREVER, DeltaReader
from mesh.stores.delta_tiers import DeltaTiers
from mesh.stores.redis_online import RedisOnlineStore
from tests.fakes.feature_rows import COLUMNS, T0, a_batch, a_record, a_view

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

METRICS_PORT = 21850
ASSETS, STEPS = 20, 200
ROWS = 5_000
VIEW = a_view()


class Plant:
    """A project of its own: a configuration, a topic and a history."""

    def __init__(self, root: Path, kafka: RealKafka, redis: RealRedis, name: str) -> None:
        self.root, self.kafka, self.topic = root, kafka, f"{name}.features"
        self.redis = redis
        (root / "config").mkdir()
        (root / "config/topics.yml").write_text(f"features: {{topic: {self.topic}}}\n")
        columns = json.dumps(COLUMNS)
        (root / "config/features.yaml").write_text(
            f"history: history\nviews: {{telemetry: {{columns: {columns}}}}}\n"
        )
        self.environment = {
            **os.environ,
            "MESH_CONFIG": str(root / "config"),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "REDIS_URL": redis.url,
        }
        self.address = str(root / "history" / "telemetry" / VIEW.transform)
        self.create_topic()

    def create_topic(self) -> None:
        # The records' times are in the past: Kafka would delete them at its next look.
        topic = NewTopic(self.topic, 4, 1, config={"retention.ms": "-1"})
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for future in admin.create_topics([topic]).values():
            future.result(90)

    def produce(self, rows: list[tuple[str, int]]) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 5})
        for entity, at in rows:
            record = a_record(entity, T0 + at, 0, values=(at / 1000, at / 500 + 0.1, 3.0))
            producer.produce(self.topic, record.value, entity, timestamp=record.timestamp_ms)
            producer.poll(0)
        assert producer.flush(120) == 0

    def start(self, *words: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-m", "mesh.cli", "features", *words]
        return subprocess.Popen(
            program, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str, status: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, out + err
        return out + err

    def rows(self) -> list[tuple[str, int]]:
        reader, found = DeltaReader(self.address, VIEW), []
        for asset in range(ASSETS):
            for batch in reader.history(f"pump-{asset}", 0, FOREVER):
                found += [(f"pump-{asset}", at - T0) for at in batch.event_time.tolist()]
        return found

    def stored(self) -> int:
        try:
            return sum(day.rows for day in DeltaTiers(self.address, VIEW).days())
        except Exception:
            return 0


@pytest.fixture
def plant(tmp_path: Path, kafka: RealKafka, redis: RealRedis, request: pytest.FixtureRequest) -> Plant:
    redis.client.flushall()
    return Plant(tmp_path, kafka, redis, request.node.name.replace("_", "-")[:40])


def a_stream(seed: int) -> list[tuple[str, int]]:
    """4,000 distinct rows in order of time, and 1,000 of them again a little later."""
    rng = random.Random(seed)
    rows = [(f"pump-{asset}", step * 8_000) for step in range(STEPS) for asset in range(ASSETS)]
    for _ in range(ROWS - len(rows)):
        at = rng.randrange(len(rows))
        rows.insert(min(len(rows), at + rng.randrange(1, 300)), rows[at])
    return rows


def test_told_to_keep_on_it_waits_for_its_topic_and_commits_when_it_is_ended(plant: Plant) -> None:
    waited, plant.topic = plant.topic, f"{plant.topic}.later"
    topics = plant.root / "config/topics.yml"
    topics.write_text(topics.read_text().replace(waited, plant.topic))
    process = plant.start("materialize", "--keep-on", "--commit-s", "600")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "trying again in 1 s" in line
    assert plant.topic in line
    plant.create_topic()
    rows = [("pump-1", step * 8_000) for step in range(50)]
    plant.produce(rows)
    for line in process.stderr:
        if re.search("[1-9][0-9]* records/s, lag 0", line):  # it may see the topic before there are rows
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=180)
    assert process.returncode == 0, rest
    assert "50 rows added" in rest
    assert sorted(plant.rows()) == sorted(rows)


def test_killed_in_the_middle_each_row_is_there_once(plant: Plant) -> None:
    rows = a_stream(7)
    assert len(rows) == ROWS
    plant.produce(rows[:3_000])
    process = plant.start("materialize", "--commit-rows", "250", "--commit-s", "0.2")
    ends = time.monotonic() + 180
    while plant.stored() < 500 and time.monotonic() < ends:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert plant.stored() >= 500
    plant.produce(rows[3_000:])
    said = plant.run("materialize", "--until-caught-up", "--commit-rows", "700")
    found = plant.rows()
    assert len(found) == len(set(found)) == ASSETS * STEPS == plant.stored()
    assert set(found) == set(rows)
    assert "records/s" in said


def test_everything_again_adds_nothing(plant: Plant) -> None:
    plant.produce(a_stream(8)[:1_000])
    plant.run("materialize", "--until-caught-up")
    before = plant.stored()
    assert "0 rows added" in plant.run("materialize", "--until-caught-up")
    assert "0 rows added, 1,000 were there" in plant.run(
        "materialize", "--from-beginning", "--until-caught-up"
    )
    assert plant.stored() == before


def test_an_interrupt_commits_what_has_gathered(plant: Plant) -> None:
    plant.produce([("pump-0", step) for step in range(300)])
    process = plant.start("materialize", "--commit-s", "3600", "--metrics-port", str(METRICS_PORT))
    assert process.stderr is not None
    assert any(line.startswith("0 rows added") and "lag 0" in line for line in process.stderr)
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=60) as page:
        assert 'mesh_features_lag_records{view="telemetry"} 0.0' in page.read().decode()
    assert plant.stored() == 0
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err
    assert "300 rows added" in err
    assert plant.stored() == 300


def test_two_share_the_partitions(plant: Plant) -> None:
    both = [plant.start("materialize", "--commit-rows", "100", "--commit-s", "0.2") for _ in range(2)]
    rows = a_stream(9)
    plant.produce(rows)
    ends = time.monotonic() + 180
    while plant.stored() < ASSETS * STEPS and time.monotonic() < ends:
        time.sleep(0.2)
    for process in both:
        process.send_signal(signal.SIGTERM)
    for process in both:
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, out + err
    assert sorted(plant.rows()) == sorted(set(rows))


def test_parity_tells_what_is_missing_and_what_differs(plant: Plant) -> None:
    rows = [(f"pump-{n}", 1_000) for n in range(10)]
    plant.produce(rows)
    plant.run("materialize", "--until-caught-up")

    async def write(batch) -> None:
        store = RedisOnlineStore(plant.redis.url)
        await store.write(VIEW, batch)
        await store.close()

    asyncio.run(write(a_batch(rows)))
    assert "10 entities compared: 10 same" in plant.run("parity")
    assert '"temp.mean": 1.0' in plant.run("get", "pump-3")
    plant.redis.client.flushall()
    asyncio.run(write(a_batch([*rows[:8], ("pump-8", 1_000, 7.0)])))
    said = plant.run("parity", status=1)
    assert "1 mismatch" in said
    assert "most in temp.std: online 14.1, history 2.1" in said
    assert "no features of 'pump-9'" in plant.run("get", "pump-9", status=1)


def test_history_for_programs(plant: Plant) -> None:
    plant.produce([("pump-1", at) for at in (0, 1_000, 2_000)])
    assert "3 rows added" in plant.run("materialize", "--until-caught-up")
    lines = plant.run("history", "pump-1", "--from", str(T0 + 1), "--format", "json").splitlines()
    assert [json.loads(line)["features"]["temp.mean"] for line in lines] == [1.0, 2.0]
    text = plant.run(
        "history", "pump-1", "--as-of", str(T0 + 1_500), "--known-at", str(T0 + 1_499), "--format", "csv"
    )
    assert text.splitlines()[1] == "pump-1,2026-01-02T03:04:05.678Z,2026-01-02T03:04:06.178Z,0.0,0.1,3.0"
    assert "leave out --from" in plant.run("history", "pump-1", "--as-of", "0", "--to", "1", status=1)


def test_a_topic_that_is_not_there_is_said(plant: Plant) -> None:
    (plant.root / "config/topics.yml").write_text("features: {topic: nowhere}\n")
    assert "there is no such topic (topic nowhere at" in plant.run(
        "materialize", "--until-caught-up", status=1
    )
