"""A real Kafka and a real Redis for the stream's tests, on ports of their own; they can be killed and come back."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil
import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from mesh.embedded.ports import is_listening
from tests.fakes.machine import missing, program

JVM = "-XX:+PerfDisableSharedMem -XX:TieredStopAtLevel=1"
"""A broker that lives for a minute: half the processor time to start, and no file in /tmp that it waits for at every pause."""
_NOT_YET = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
)
STANDSTILL_S = 30.0
"""So long a shared machine may stand still, by what was seen (25 s without a write to disk). A wait bounds a hang, and claims no
speed: whoever measures that looks at the seconds that a wait took."""
MEMORY_BYTES = 4 * 2**30
ROOT = Path(__file__).resolve().parents[2]


def in_memory(folder: Path) -> Path:
    """A folder like this one, in memory where there is such a file system: it outlives servers that are killed, and ends with us.

    On a machine whose disk is shared a write waits now and then for half a minute; a broker that waits so loses its lease.
    """
    root = memory_root()
    if root is None:
        return folder
    return Path(tempfile.mkdtemp(dir=root)) / folder.name


@cache
def memory_root() -> str | None:
    """Where this process keeps such folders; None where there is no room for them."""
    shared = Path("/dev/shm")  # noqa: S108 -- what is made there is ours alone: mkdtemp
    if not shared.is_dir() or shutil.disk_usage(shared).free < MEMORY_BYTES:
        return None
    root = tempfile.mkdtemp(prefix="hyperstream-tests-", dir=shared)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def _lives(process: psutil.Process) -> bool:
    """It still runs; one that only waits to be buried does not."""
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class RealKafka:
    """One broker of the real Kafka, run by the script that `KAFKA_CLUSTER` names."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        script = Path(os.environ.get("KAFKA_CLUSTER") or ROOT / "../shared/kafka/cluster")
        if not script.exists():
            missing(f"no Kafka at {script}: set KAFKA_CLUSTER")
        if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
            missing("no Java runtime for Kafka")
        self._run = [sys.executable, str(script.resolve())]
        self.folder, self._port, self._options = in_memory(folder), port, options
        self.bootstrap = f"127.0.0.1:{port}"

    def start(self) -> None:
        words = ("start", str(self.folder), "--port", str(self._port), *self._options)
        try:
            self._do(*words)
        except subprocess.CalledProcessError:
            if (
                self.folder / "cluster.json"
            ).exists():  # it was begun, and takes more than the minute that it is given
                self.restart()
                return
            # One random cluster id in 64 begins with a dash, which Kafka's tool takes for an option.
            shutil.rmtree(self.folder, ignore_errors=True)
            self._do(*words)

    def kill(self) -> None:
        """SIGKILL, at once: a script that does it has to start first, and meanwhile much may have been read."""
        broker = self._broker()
        if broker is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            broker.kill()
        ends = time.monotonic() + 60
        # The number may be gone while threads that still end hold the ports.
        while _lives(broker) or is_listening(self._port) or is_listening(self._port + 1):
            assert time.monotonic() < ends, "a killed broker does not end"
            time.sleep(0.02)

    def _broker(self) -> psutil.Process | None:
        """The broker's process; None where it does not run, or its number is another program's by now."""
        try:
            found = psutil.Process(int((self.folder / "broker-1" / "pid").read_text()))
            return found if "kafka.Kafka" in found.cmdline() else None
        except (OSError, psutil.Error):
            return None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The broker's process stands still meanwhile, as on a host that is short of processor or memory."""
        pid = int((self.folder / "broker-1" / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def freeze(self, seconds: float) -> None:
        """`frozen` for so long."""
        with self.frozen():
            time.sleep(seconds)

    def restart(self) -> None:
        try:
            self._do("restart", str(self.folder))
        except subprocess.CalledProcessError:
            # After SIGKILL it checks its logs; on a busy machine that takes more than the minute it is given.
            self._do("restart", str(self.folder))

    def _do(self, *words: str) -> None:
        environ = {"JAVA_TOOL_OPTIONS": JVM, **os.environ}
        try:
            subprocess.run([*self._run, *words], check=True, capture_output=True, timeout=300, env=environ)
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr.decode(errors="replace")[-2000:])
            raise

    def create(self, *topics: str, partitions: int = 4) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [NewTopic(topic, partitions, 1) for topic in topics]
        for future in admin.create_topics(wanted, request_timeout=60).values():
            future.result(90)

    def committed(self, topic: str, group: str, partitions: int = 4) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            wanted = [TopicPartition(topic, p) for p in range(partitions)]
            return {place.partition: place.offset for place in _committed(consumer, wanted)}
        finally:
            consumer.close()


def _committed(consumer: Consumer, wanted: list[TopicPartition]) -> list[TopicPartition]:
    """A broker that has just begun makes its first coordinator when it is first asked, and says so; a busy one says nothing."""
    ends = time.monotonic() + 60
    while True:
        try:
            found: list[TopicPartition] = consumer.committed(wanted, timeout=20)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > ends:
                raise
            time.sleep(0.2)
        else:
            return found


class RealRedis:
    """A Redis server that writes every command to its file before it answers, so that a kill loses nothing."""

    def __init__(self, folder: Path, port: int) -> None:
        self._program = program("redis-server", "redis-server")
        self._folder, self._port = in_memory(folder), port
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis.from_url(self.url)

    def start(self) -> None:
        settings = {
            "port": self._port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": "yes",
            "save": "",
        }
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL)
        ends = time.monotonic() + 60
        while True:
            try:
                self.client.ping()
            except redis.RedisError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)
        self.client.close()
