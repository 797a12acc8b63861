"""replay, send and tail against the embedded servers, with a reader in place of the mesh."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer

from mesh.embedded import kafka, redis_server
from tests.fakes.machine import missing, program

BROKER, REDIS = 21510, 21511
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{BROKER}",
    "REDIS_URL": f"redis://127.0.0.1:{REDIS}/0",
    "PYTHONPATH": str(ROOT),
}


def hyperstream(*arguments, cwd=ROOT, timeout=240):
    return subprocess.run(
        [sys.executable, "-m", "mesh.cli", *map(str, arguments)],
        env=ENVIRONMENT, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


class Reader(threading.Thread):
    """Reads a topic as the mesh's group would, commits, and answers into the log in Redis."""

    def __init__(self, topic, pause_s=0.0):
        super().__init__(daemon=True)
        self.topic, self.pause_s = topic, pause_s
        self.values, self.done = [], threading.Event()
        self.redis = redis.Redis(port=REDIS)

    def run(self):
        consumer = Consumer(
            {
                "bootstrap.servers": f"127.0.0.1:{BROKER}", "group.id": "ml-streaming", "auto.offset.reset": "earliest",
                "enable.auto.commit": False, "log_level": 0, "fetch.wait.max.ms": 10, "group.protocol": "consumer",
            }
        )  # fmt: skip
        consumer.subscribe([self.topic])
        while not self.done.is_set():
            messages = [message for message in consumer.consume(2000, 0.1) if message.error() is None]
            time.sleep(self.pause_s)
            for message in messages:
                self.answer(message)
            if messages:
                consumer.commit(asynchronous=False)
        consumer.close()

    def answer(self, message):
        self.values.append(message.value())
        if len(self.values) > 100:
            return
        said = json.loads(message.value())
        prediction = {
            "inference_id": f"{message.topic()}-{message.partition()}-{message.offset()}",
            "model_id": said.get("model_id", "default"),
            "input_id": said["input_id"],
            "predictions": said["features"],
            "confidence": [0.5],
            "answered_by": [{"model": "rules", "version": "1", "route": "baseline", "role": "primary"}],
            "latency_ms": 1.5,
        }
        self.redis.xadd("ml:stream:inference:log", {"prediction": json.dumps(prediction)})

    def wait_for(self, count, seconds=180):
        deadline = time.monotonic() + seconds
        while len(self.values) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(self.values)


@pytest.fixture(scope="module", autouse=True)
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    broker = kafka.start_demo_broker(BROKER, ["ml.inference", "flood"], folder)
    store = redis_server.start_redis(REDIS, folder)
    yield
    broker.stop()
    store.stop()


@pytest.fixture
def reader():
    made = []

    def make(topic, **more):
        made.append(Reader(topic, **more))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.done.set()
        one.join(60)


@pytest.mark.slow
def test_replay_never_overruns_a_slow_reader_of_the_demo_broker(tmp_path, reader):
    rows = 40_000
    file = tmp_path / "wide.csv"
    columns = [f"column_{number}" for number in range(24)]
    cells = ",".join(["123.456"] * 24)
    # One key: everything goes to one partition, which holds half of it at most.
    file.write_text("\n".join(["k," + ",".join(columns), *[f"same,{cells}"] * rows]) + "\n")
    slow = reader("flood", pause_s=0.02)
    done = hyperstream("replay", file, "--key", "k", "--topic", "flood", "--speed", "max")
    assert done.returncode == 0, done.stderr
    assert f"sent {rows:,} records to flood" in done.stderr
    assert slow.wait_for(rows) == rows
    assert sum(map(len, slow.values)) > 5 * 2**20, "the test must be more than a partition holds"


def test_a_nab_series_is_replayed_as_kcat_sees_it():
    shared = Path(os.environ.get("MESH_SHARED", ROOT / "../shared"))
    nab = shared / "data/nab/data/realKnownCause/machine_temperature_system_failure.csv"
    if not nab.exists():
        missing(f"needs the NAB series {nab} (MESH_SHARED)")
    done = hyperstream(
        "replay", nab, "--timestamp", "timestamp", "--features", "value", "--limit", 500, "--topic", "nab",
        "--model", "identity", "--speed", "max", "--set", "tenant=blue",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = subprocess.run(
        [program("kcat", "kcat"), "-b", f"localhost:{BROKER}", "-t", "nab", "-C", "-o", "beginning", "-e", "-q"],
        capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    records = [json.loads(line) for line in read.stdout.splitlines()]
    assert len(records) == 500
    first = min(records, key=lambda record: int(record["input_id"].rpartition("-")[2]))
    assert first == {
        "input_id": "machine_temperature_system_failure-0",
        "model_id": "identity",
        "features": [[73.96732207]],
        "metadata": {"tenant": "blue", "timestamp": "2013-12-02 21:15:00"},
    }


def test_the_speed_follows_the_timestamps(tmp_path):
    file = tmp_path / "slow.csv"
    file.write_text("t,x\n0,1\n50,2\n100,3\n")
    began = time.monotonic()
    done = hyperstream(
        "replay", file, "--timestamp", "t", "--features", "x", "--speed", "100x", "--topic", "slow"
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 1.0
    assert "sent 3 records" in done.stderr


def test_send_waits_for_its_own_answer_and_tail_resumes(reader):
    redis.Redis(port=REDIS).flushall()
    reader("ml.inference")
    done = hyperstream(
        "send",
        "[[1, 2, 3]]",
        "--model",
        "identity",
        "--set",
        "tenant=blue",
        "--wait",
        "--timeout",
        60,
        "--id",
        "event-42",
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["input_id"] == "event-42"
    assert answer["inference_id"] in done.stderr
    assert hyperstream("send", "[[4]]", "--wait", "--timeout", 60, "--id", "event-43").returncode == 0

    [first] = hyperstream("tail", "--since", "0", "--limit", 1).stdout.splitlines()
    entry, *rest = first.split("  ")
    assert rest[:3] == ["event-42", "identity", "rules (baseline, primary)"]
    [ago] = hyperstream("tail", "--since", "1h", "--limit", 1).stdout.splitlines()
    assert ago == first
    assert "no longer" not in hyperstream("tail", "--since", "0", "--limit", 1).stderr
    [second] = hyperstream("tail", "--since", entry, "--limit", 1, "--json").stdout.splitlines()
    assert json.loads(second)["input_id"] == "event-43"
    [chosen] = hyperstream("tail", "--since", "0", "--limit", 1, "--model", "default").stdout.splitlines()
    assert "event-43" in chosen
    redis.Redis(port=REDIS).xtrim("ml:stream:inference:log", maxlen=1, approximate=False)
    assert "no longer in the log" in hyperstream("tail", "--since", "0", "--limit", 1).stderr


def test_send_says_when_nobody_answers():
    done = hyperstream("send", "[[1]]", "--topic", "nobody", "--wait", "--timeout", 0.5)
    assert done.returncode == 1
    assert "no prediction for nobody-" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send", "[[1,"], "FEATURES: is not JSON"),
        (["send", "7"], "FEATURES: must be rows"),
        (["replay", "nothing.csv"], "nothing.csv: No such file"),
        (["tail", "--since", "yesterday"], "--since: must be a time such as 500ms"),
        (["send", "[[1]]", "--set", "x"], "--set: 'x' is not name=value"),
    ],
)
def test_mistakes_are_one_line_without_a_trace(arguments, message):
    done = hyperstream(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
