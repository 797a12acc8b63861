"""Starting and ending the programs that are measured; every one is ended by its own process id."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

_JSON = {"Content-Type": "application/json"}
ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MESH_SHARED", ROOT.parent / "shared"))
PEERS = SHARED / "peers"
KAFKA_CLUSTER = Path(os.environ.get("KAFKA_CLUSTER", SHARED / "kafka" / "cluster"))
HYPERSTREAM = [sys.executable, "-m", "mesh.cli"]
LOGS = ROOT / "build" / "bench-logs"


class CannotRun(Exception):
    """A program or file that a row needs is not here; the message says which."""


def need(*things: Path | str) -> None:
    """Raise `CannotRun` for the first that is missing: a path, or a program on PATH."""
    for thing in things:
        found = thing.exists() if isinstance(thing, Path) else shutil.which(thing) is not None
        if not found:
            raise CannotRun(f"{thing} is not here")


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anything that would tune Ray Serve, plus `extra`."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MESH_", "ML_"))
    }
    return kept | extra


@contextmanager
def running(
    command: Sequence[str | Path], name: str, env: Mapping[str, str], *, grace_s: float = 40
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; SIGTERM ends it, SIGKILL after `grace_s`. Output goes to build/bench-logs."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            env=dict(env),
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process, grace_s)


def end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """SIGTERM, and SIGKILL to its session when that does not do."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float, body: bytes | None = None) -> None:
    """Return once `url` answers 200."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise CannotRun(f"the program behind {url} ended with {process.returncode}; see {LOGS}")
        try:
            if (
                httpx.request(
                    "POST" if body else "GET", url, content=body, headers=_JSON, timeout=5
                ).status_code
                == 200
            ):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise CannotRun(f"{url} did not answer within {seconds:.0f} s; see {LOGS}")


@contextmanager
def mesh(name: str, config: Path, *options: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Our mesh with a benchmark's configuration, as `hyperstream up` starts it."""
    env = clean_environment(MESH_CONFIG=str(config), **environ)
    with running([*HYPERSTREAM, "up", "--no-feed", *options], name, env) as process:
        wait_for("http://127.0.0.1:8080/v2/health/ready", process, 120)
        yield process


@contextmanager
def kafka(port: int = 21600) -> Iterator[str]:
    """A real Kafka broker; gives its bootstrap address."""
    need(KAFKA_CLUSTER, "java")
    folder = Path(tempfile.mkdtemp(prefix="bench-kafka-"))
    script = [sys.executable, str(KAFKA_CLUSTER)]
    try:
        subprocess.run(
            [*script, "start", str(folder / "c"), "--port", str(port)], check=True, capture_output=True
        )
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([*script, "stop", str(folder / "c")], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server(port: int = 21620) -> Iterator[str]:
    """A real Redis without persistence; gives its URL."""
    need("redis-server")
    with running(
        ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"], "redis", os.environ
    ):
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
