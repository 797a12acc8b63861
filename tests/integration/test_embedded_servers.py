"""The servers that a launcher owns: they answer, name a taken port, and never outlive their owner."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer

from mesh.embedded import kafka, redis_server
from mesh.embedded.child import Child, ServerFailed
from mesh.embedded.ports import PortTaken, is_listening
from tests.fakes.machine import missing, program

BROKER, REDIS, RELEASE = 21501, 21502, 21503
TOPIC = "ml.inference"


def released(port, seconds=60.0):
    deadline = time.monotonic() + seconds
    while is_listening(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_listening(port)


def read(bootstrap, count, seconds=90.0):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    consumer.subscribe([TOPIC])
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(100, 0.2) if message.error() is None]
    consumer.close()
    return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    child = kafka.start_demo_broker(BROKER, [TOPIC], tmp_path_factory.mktemp("broker"))
    yield f"127.0.0.1:{BROKER}"
    child.stop()
    assert released(BROKER)


def test_the_demo_broker_carries_records_from_another_process(broker):
    producer = Producer({"bootstrap.servers": broker})
    for number in range(10):
        producer.produce(TOPIC, str(number))
    assert producer.flush(90) == 0
    assert sorted(read(broker, 10)) == sorted(str(number).encode() for number in range(10))


def test_kcat_reaches_the_demo_broker_as_localhost(broker):
    address, kcat = broker.replace("127.0.0.1", "localhost"), program("kcat", "kcat")
    sent = subprocess.run(
        [kcat, "-b", address, "-t", "outside", "-P"],
        input=b"hello\n",
        timeout=90,
        check=True,
        capture_output=True,
    )
    assert sent.returncode == 0
    got = subprocess.run(
        [kcat, "-b", address, "-t", "outside", "-C", "-o", "beginning", "-e", "-q"],
        timeout=90, check=True, capture_output=True,
    )  # fmt: skip
    assert got.stdout == b"hello\n"


def test_topics_are_there_before_any_client(broker):
    from confluent_kafka.admin import AdminClient

    assert (
        len(AdminClient({"bootstrap.servers": broker}).list_topics(timeout=60).topics[TOPIC].partitions) == 4
    )


def test_redis_answers_and_keeps_nothing(tmp_path):
    child = redis_server.start_redis(REDIS, tmp_path)
    try:
        assert redis_server.answers("127.0.0.1", REDIS)
    finally:
        child.stop()
    assert released(REDIS)
    assert {path.name for path in tmp_path.iterdir()} == {"redis.log"}


@pytest.mark.parametrize(
    ("start", "variable"),
    [
        (redis_server.start_redis, "REDIS_URL"),
        (lambda port, path: kafka.start_demo_broker(port, [], path), "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_taken_port_is_named_with_its_variable(tmp_path, start, variable):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} .* is taken: .*{variable}"):
            start(port, tmp_path)


def test_something_that_is_no_redis_does_not_answer_as_one():
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not redis_server.answers("127.0.0.1", other.getsockname()[1], 0.2)


def test_servers_end_when_their_owner_is_killed(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom mesh.embedded import kafka, redis_server\n"
        f"a = redis_server.start_redis({REDIS}, Path(sys.argv[1]))\n"
        f"b = kafka.start_demo_broker({BROKER + 20}, [], Path(sys.argv[1]))\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert owner.stdout.readline() == b"up\n"
    servers = psutil.Process(owner.pid).children(recursive=True)
    assert len(servers) >= 3
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    _, alive = psutil.wait_procs(servers, timeout=60)
    assert not alive


def test_a_server_that_ends_at_once_shows_its_last_words(tmp_path):
    child = Child.start(
        "the thing", "mesh.embedded.guard", ["sh", "-c", "echo no disk; exit 3"], tmp_path / "log"
    )
    with pytest.raises(ServerFailed, match=r"(?s)the thing ended; .*no disk"):
        child.wait_until(lambda: False, 10)


def test_a_program_that_heeds_no_sigterm_is_ended_however_often_its_guard_is_asked():
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    hasty = "import mesh.embedded.guard as guard, sys; guard.GRACE_S = 1.0; sys.exit(guard.main())"
    with subprocess.Popen(
        [sys.executable, "-c", hasty, sys.executable, "-c", deaf],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as guard:
        assert guard.stdout.readline() == b"up\n"
        (program,) = psutil.Process(guard.pid).children()
        for _ in range(2):
            guard.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        _, alive = psutil.wait_procs([program], timeout=40)
        if alive:
            program.kill()
    assert not alive


@pytest.mark.kafka
@pytest.mark.slow
def test_a_real_kafka_from_a_release_keeps_its_data(tmp_path):
    release = Path(os.environ.get("KAFKA_CLUSTER", Path(__file__).parents[2] / "../shared/kafka/cluster"))
    if not release.exists() or shutil.which("java") is None:
        missing(f"needs Java and a Kafka release: {release} (KAFKA_CLUSTER)")
    bootstrap = f"127.0.0.1:{RELEASE}"
    child = kafka.start_release(release, RELEASE, tmp_path / "kafka")
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(TOPIC, b"kept")
    assert producer.flush(90) == 0
    child.stop(90)
    child = kafka.start_release(release, RELEASE, tmp_path / "kafka")
    try:
        assert read(bootstrap, 1, 90) == [b"kept"]
    finally:
        child.stop(90)
    assert released(RELEASE)


def test_the_reaper_ends_what_a_run_left_behind_however_deep_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    mine = {**os.environ, "HYPERSTREAM_RUN": str(run)}
    orphan = subprocess.Popen(
        [
            "sh",
            "-c",
            "trap '' TERM; sleep 60 & echo $!; exec sleep 60",
        ],  # waits for nobody who may be killed first
        env=mine,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    grandchild = psutil.Process(int(orphan.stdout.readline()))
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, "HYPERSTREAM_RUN": f"{run}-other"})
    reaper = Child.start("the reaper", "mesh.embedded.reaper", [str(run)], tmp_path / "log")
    try:
        reaper.stop(60)  # it looks at every process of the machine
        assert orphan.wait(5) == -signal.SIGKILL
        assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
        assert other.poll() is None
        assert not run.exists()
    finally:
        other.kill()
        other.wait()
