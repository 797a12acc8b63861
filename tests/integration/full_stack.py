"""The whole mesh as users start it: a real Kafka, a real Redis, and `hyperstream up` in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from ray_mesh import status_of, until
from stream_servers import ROOT, STANDSTILL_S, RealKafka, RealRedis

KAFKA, REDIS = 21710, 21720
HTTP, GRPC, LANE_HTTP, LANE_GRPC, METRICS, DASHBOARD = 21730, 21731, 21732, 21733, 21734, 21735
TOPIC, GROUP, CHANNEL = "ml.inference", "ml-streaming", "ml:stream:inference"
LOG = f"{CHANNEL}:log"
RAY_PORTS = {
    "RAY_SERVE_HAPROXY_STATS_PORT": "21736",
    "RAY_SERVE_HAPROXY_METRICS_PORT": "21737",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": "21738",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": "21739",
}
START_S = 240.0  # a machine that is busy with other work imports Ray and the frameworks slowly
END_S = 20.0
ECHO_MODELS = """
models:
  echo:
    runtime: identity
    inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]
"""
ECHO_ROUTING = """
routes:
  - {name: all, when: "always", send: [echo]}
"""


class Up:
    """One `hyperstream up`, on ports of these tests, with all that it says."""

    def __init__(self, folder: Path, *arguments: str, config: Path | None = None, **environ: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._mark = uuid.uuid4().hex
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **RAY_PORTS,
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
            "MESH_CONFIG": str(config or ROOT / "config"),
            "MESH_HTTP_PORT": str(LANE_HTTP),
            "MESH_GRPC_PORT": str(LANE_GRPC),
            "MESH_CONSOLE_PORT": "",
            "ML_PROMETHEUS_PORT": str(METRICS),
            "RAY_DASHBOARD_PORT": str(DASHBOARD),
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{KAFKA}",
            "REDIS_URL": f"redis://127.0.0.1:{REDIS}/0",
            "FULL_STACK_RUN": self._mark,
            **environ,
        }
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mesh.cli", "up", "--serve-config", str(serve_config(folder)), *arguments],
            cwd=folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _listen(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in self.process.stdout)

    def wait_ready(self) -> float:
        """Until it serves rows; seconds since its start."""
        ready = f"http://127.0.0.1:{LANE_HTTP}/v2/models/default/ready"
        until(lambda: self.process.poll() is not None or status_of(ready) == 200, START_S)
        assert self.process.poll() is None, self.said()
        return time.monotonic() - self.began

    def said(self) -> str:
        return "\n".join(self.lines)

    def processes(self) -> list[psutil.Process]:
        """Everything that it started, directly or not; `up` itself first.

        By parentage, and by a mark in the environment: HAProxy has left the family.
        """
        family = psutil.Process(self.pid)
        found = {one.pid: one for one in [family, *family.children(recursive=True)]}
        for one in psutil.process_iter():
            try:
                if one.environ().get("FULL_STACK_RUN") == self._mark:
                    found.setdefault(one.pid, one)
            except psutil.Error:
                continue
        return list(found.values())

    def actor(self, title: str) -> psutil.Process:
        """The one process that Ray has titled so, such as `ServeReplica:mesh:router`."""
        found = self.actors(title)
        assert len(found) == 1, f"{len(found)} processes of {title}"
        return found[0]

    def actors(self, title: str) -> list[psutil.Process]:
        """The processes of Ray actors whose title begins so; an idle one has no more after it."""
        return [one for one in self.processes() if _title(one).startswith(f"ray::{title}")]

    def end(self) -> float:
        """SIGTERM, and wait for its end; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(END_S + 100)  # who asserts how long it takes looks at the seconds
        self._listening.join(30)
        return time.monotonic() - began

    def kill(self) -> None:
        """End at once whatever still runs; its reaper ends the rest."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # ended meanwhile
        return ""


def serve_config(folder: Path) -> Path:
    """A copy of the shipped Serve config with the ports of these tests, beside the shipped data."""
    text = (ROOT / "serve_config.yaml").read_text()
    copy = folder / "serve_config.yaml"
    copy.write_text(text.replace("port: 8000", f"port: {HTTP}").replace("port: 9000", f"port: {GRPC}"))
    if not (folder / "data").exists():
        (folder / "data").symlink_to(ROOT / "data")
    return copy


def echo_config(folder: Path) -> Path:
    """A configuration in `folder` whose only model gives back rows of four numbers."""
    config = folder / "config"
    config.mkdir()
    (config / "models.yaml").write_text(ECHO_MODELS)
    (config / "routing.yaml").write_text(ECHO_ROUTING)
    return config


class FullStack:
    """Kafka, Redis and the mesh."""

    def __init__(self, kafka: RealKafka, redis: RealRedis, up: Up) -> None:
        self.kafka, self.redis, self.up = kafka, redis, up

    def logged(self) -> int:
        """Predictions in the Redis log, repeats included."""
        return int(self.redis.client.xlen(LOG))

    def committed(self) -> int:
        """Records up to the group's offsets, of all partitions."""
        return sum(max(0, offset) for offset in self.kafka.committed(TOPIC, GROUP).values())


@contextmanager
def servers(folder: Path) -> Iterator[tuple[RealKafka, RealRedis]]:
    """A Kafka with the topics of the mesh, and a Redis that drops no slow subscriber."""
    kafka, redis = RealKafka(folder / "kafka", KAFKA), RealRedis(folder, REDIS)
    try:
        redis.start()
        redis.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        kafka.start()
        kafka.create(TOPIC, f"{TOPIC}.dlq")
        yield kafka, redis
    finally:
        redis.kill()
        kafka.kill()


@contextmanager
def full_stack(
    folder: Path, config: Path | None = None, *, history: bool = False, **environ: str
) -> Iterator[FullStack]:
    """The mesh without its feed, ready for rows; all of it is gone afterwards."""
    kept = "--history" if history else "--no-history"
    with servers(folder) as (kafka, redis):
        up = Up(folder / "up", "--no-feed", kept, config=config, **environ)
        try:
            up.wait_ready()
            until(lambda: len(up.actors("ServeReplica:ingest")) > 0, START_S)
            yield FullStack(kafka, redis, up)
            if up.process.poll() is None:
                up.end()
        finally:
            up.kill()


def until_still(read: Callable[[], int], seconds: float, still_s: float = 3.0) -> int:
    """Wait until a number has not changed for `still_s`; the number."""
    ends, last, since = time.monotonic() + seconds + STANDSTILL_S, read(), time.monotonic()
    while time.monotonic() - since < still_s:
        assert time.monotonic() < ends, "it never came to rest"
        time.sleep(0.2)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last
