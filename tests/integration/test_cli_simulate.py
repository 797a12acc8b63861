"""simulate against the demo broker: what is in Kafka is what a dry run prints, with its truth; and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from mesh.embedded import kafka

BROKER = 21512
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{BROKER}", "PYTHONPATH": str(ROOT)}
TOPICS = ("hyperstream.raw", "hyperstream.truth", "stopped-2", "stopped-15")
RUN = ("--scenario", "spike", "--assets", 10, "--rate", 2, "--start", "2026-01-01")


def command(*arguments):
    return [sys.executable, "-m", "mesh.cli", "simulate", *map(str, arguments)]


def simulate(*arguments):
    return subprocess.run(
        command(*arguments), env=ENVIRONMENT, cwd=ROOT, capture_output=True, timeout=240, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def broker(tmp_path_factory):
    running = kafka.start_demo_broker(BROKER, TOPICS, tmp_path_factory.mktemp("broker"))
    yield
    running.stop()


def read(topic, count, reader="test"):
    consumer = Consumer(
        {
            "bootstrap.servers": f"127.0.0.1:{BROKER}", "group.id": f"{reader}-{topic}", "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )  # fmt: skip
    consumer.subscribe([topic])
    found, deadline = [], time.monotonic() + 90
    while len(found) < count and time.monotonic() < deadline:
        found += [message for message in consumer.consume(2_000, 0.5) if message.error() is None]
    consumer.close()
    return found


def test_kafka_gets_what_a_dry_run_prints_and_the_truth(tmp_path):
    file = tmp_path / "truth.jsonl"
    done = simulate(*RUN, "--speed", "max", "--truth", file)
    assert done.returncode == 0, done.stderr
    assert b"sent 1,800 records to hyperstream.raw" in done.stderr
    assert b"told 1 faults to hyperstream.truth" in done.stderr
    dry = simulate(*RUN, "--dry-run")
    messages = read("hyperstream.raw", 1_800)
    assert sorted(message.value() for message in messages) == sorted(dry.stdout.splitlines())
    assert all(json.loads(message.value())["asset"].encode() == message.key() for message in messages)
    [truth] = read("hyperstream.truth", 1)
    assert file.read_bytes() == truth.value() + b"\n"
    said = json.loads(truth.value())
    assert (said["kind"], said["sensors"], said["asset"].encode()) == ("spike", ["current"], truth.key())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_says_what_was_sent_and_that_is_there(number):
    topic = f"stopped-{int(number)}"
    with subprocess.Popen(
        command("--rate", 200, "--topic", topic),
        env=ENVIRONMENT,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert "healthy" in running.stderr.readline()
        assert read(topic, 1, "first")
        running.send_signal(number)
        said = running.stderr.read()
    assert running.returncode == 0, said
    assert "stopped" in said
    assert "Traceback" not in said
    sent = int(said.split("sent ")[-1].split(" ")[0].replace(",", ""))
    assert sent > 0
    assert len(read(topic, sent)) >= sent


def test_a_reader_that_leaves_ends_a_dry_run():
    with subprocess.Popen(
        command("--dry-run"), env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        first = running.stdout.readline()
        running.stdout.close()
        said = running.stderr.read().decode()
    assert json.loads(first)["asset"] == "pump-1"
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "drfit"], "no scenario 'drfit' in config/scenarios; did you mean 'drift'?"),
        (["--speed", "fast"], "--speed: 'fast' is none of 1x, 50x, max"),
        (["--dry-run", "--start", "soon"], "--start: timestamp 'soon' is neither"),
        (["--output", "/no/such/folder/x"], "--output: /no/such/folder/x cannot be written"),
    ],
)
def test_mistakes_are_one_line_without_a_trace(arguments, message):
    done = simulate(*arguments)
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_the_list_names_every_shipped_scenario():
    shown = simulate("--list").stdout.decode()
    for path in (ROOT / "config/scenarios").glob("*.yaml"):
        assert path.stem in shown
