"""Kafka for a launcher: the demo broker, or a real one from an unpacked release."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from mesh.embedded.child import Child, ServerFailed
from mesh.embedded.ports import Port, check_free
from mesh.security.kafka_client import secured

DEMO_LIMITS: Final = (
    "the demo broker keeps everything in memory, at most about 5 MiB a partition: the oldest records "
    "go unseen when a reader falls behind. Nothing survives a restart, topics have 4 partitions, and it is "
    "no evidence of delivery. Set KAFKA_BOOTSTRAP_SERVERS, or use --kafka, for a real one."
)

_REMEDY: Final = "end whatever listens there, or set KAFKA_BOOTSTRAP_SERVERS to the broker to use"
_START_S: Final = 60.0
_HEAP: Final = "512m"


def answers(bootstrap: str, timeout_s: float = 2.0) -> bool:
    """True where a Kafka broker answers at `bootstrap`."""
    client: AdminClient = secured(
        AdminClient, {"bootstrap.servers": bootstrap, "log_level": 0, "broker.address.family": "v4"}
    )
    try:
        return bool(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def start_demo_broker(port: int, topics: Sequence[str], folder: Path) -> Child:
    """Start librdkafka's mock on `127.0.0.1:port`, with `topics` of 4 partitions; see `DEMO_LIMITS`."""
    check_free(Port(port, "Kafka", "KAFKA_BOOTSTRAP_SERVERS"), _REMEDY)
    log = folder / "demo-broker.log"
    child = Child.start("the demo broker", "mesh.embedded.demo_broker", [str(port), *topics], log)
    child.wait_until(lambda: answers(f"127.0.0.1:{port}", 0.5), 20.0)
    return child


def start_release(path: Path, port: int, folder: Path) -> Child:
    """A real Kafka (KRaft, one broker, 127.0.0.1 only) from `path`; its controller takes the next port.

    `path` is an unpacked Kafka 4.x release, or a program beside its `libs`. Data stays in `folder`.
    Raises `ServerFailed` without jars or Java, `PortTaken`.
    """
    command = _java(_libs(path))
    check_free(Port(port, "Kafka", "KAFKA_BOOTSTRAP_SERVERS"), _REMEDY)
    check_free(Port(port + 1, "Kafka's controller", "KAFKA_BOOTSTRAP_SERVERS"), _REMEDY)
    folder = folder.resolve()
    properties = folder / "server.properties"
    folder.mkdir(parents=True, exist_ok=True)
    properties.write_text("".join(f"{key}={value}\n" for key, value in _properties(folder, port).items()))
    if not (folder / "data" / "meta.properties").exists():
        _format(command, properties)
    started = [f"-Xmx{_HEAP}", f"-Xms{_HEAP}", *command[1:], "kafka.Kafka", str(properties)]
    child = Child.start("Kafka", "mesh.embedded.guard", [command[0], *started], folder / "broker.log")
    child.wait_until(lambda: answers(f"127.0.0.1:{port}", 0.5), _START_S)
    return child


def _libs(path: Path) -> Path:
    home = path if path.is_dir() else path.parent
    if not any((home / "libs").glob("kafka-server*.jar")) and not any((home / "libs").glob("kafka_2*.jar")):
        raise ServerFailed(f"{home} is no Kafka release: no Kafka jars in {home / 'libs'}")
    return home.resolve() / "libs"


def _java(libs: Path) -> list[str]:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        raise ServerFailed("Kafka needs a Java runtime, 17 or newer: set JAVA_HOME or put java on the PATH")
    return [java, "-Djava.awt.headless=true", "-cp", str(libs / "*")]


def cluster_id(draw: Callable[[], bytes] = lambda: uuid.uuid4().bytes) -> str:
    """A new one of 16 bytes from `draw`, written as Kafka does: none begins with a dash, which tools take for an option."""
    while (made := base64.urlsafe_b64encode(draw()).rstrip(b"=").decode()).startswith("-"):
        pass
    return made


def _format(command: Sequence[str], properties: Path) -> None:
    arguments = ["kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(properties)]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=_START_S, check=False
    )
    if done.returncode:
        raise ServerFailed(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")


def _properties(folder: Path, port: int) -> dict[str, str | int]:
    return {
        "node.id": 1,
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"1@127.0.0.1:{port + 1}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "num.partitions": 4,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": 10_485_760,
    }
