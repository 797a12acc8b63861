"""`hyperstream up` on a real Ray, with two tiny applications in the mesh's place."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer

from mesh.embedded import kafka, redis_server
from mesh.embedded.ports import is_listening

ROOT = Path(__file__).parents[2]
BROKER, REDIS, HTTP, GRPC, DASHBOARD, METRICS = 21540, 21541, 21542, 21543, 21544, 21545
TINY = """
from ray import serve

@serve.deployment
class router:
    def __call__(self, request):
        return "here"

@serve.deployment
class ingest:
    pass

def build(args):
    return router.bind()

def build_ingest(args):
    return ingest.bind()
"""
CONFIG = f"""
http_options: {{host: 127.0.0.1, port: {HTTP}}}
grpc_options: {{port: {GRPC}}}
applications:
  - {{name: mesh, route_prefix: /, import_path: "tiny:build", args: {{}}}}
  - {{name: ingest, route_prefix: null, import_path: "tiny:build_ingest", args: {{}}}}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "serve_config.yaml").write_text(CONFIG)
    (tmp_path / "data").symlink_to(ROOT / "data")
    return tmp_path


def environment():
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "MESH_CONFIG": str(ROOT / "config"),
        "MESH_HTTP_PORT": "",
        "MESH_GRPC_PORT": "",
        "MESH_CONSOLE_PORT": "",
        "ML_PROMETHEUS_PORT": str(METRICS),
        "RAY_DASHBOARD_PORT": str(DASHBOARD),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{BROKER}",
        "REDIS_URL": f"redis://127.0.0.1:{REDIS}/0",
        "RAY_SERVE_HAPROXY_STATS_PORT": "21546",
        "RAY_SERVE_HAPROXY_METRICS_PORT": "21547",
    }


def start(project, *arguments, start_new_session=False):
    return subprocess.Popen(
        [sys.executable, "-m", "mesh.cli", "up", *arguments],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=start_new_session,
    )  # fmt: skip


def living(processes, seconds):
    """Those that still run after `seconds`; one that only waits to be buried by init does not."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    return [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def reaper_of(up):
    children = psutil.Process(up.pid).children(recursive=True)
    (found,) = [one for one in children if "mesh.embedded.reaper" in one.cmdline()]
    return found


def looked(reaper):
    """Wait for a look of the reaper's that began after now: it sleeps before each, and after."""
    before, ends = reaper.num_ctx_switches().voluntary, time.monotonic() + 120
    time.sleep(3)
    while reaper.num_ctx_switches().voluntary < before + 2:
        assert time.monotonic() < ends, "the reaper does not look"
        time.sleep(0.1)


def said_by(up):
    up.kill()
    return up.communicate(timeout=120)[0]


@pytest.mark.ray
@pytest.mark.slow
def test_up_waits_feeds_and_leaves_nothing_behind(project, tmp_path):
    up = start(project, "--rate", "200")
    assert (
        up.stdout.readline().strip() == f"waiting for Kafka at 127.0.0.1:{BROKER} (KAFKA_BOOTSTRAP_SERVERS)"
    )
    broker = kafka.start_demo_broker(BROKER, ["ml.inference"], tmp_path)
    store = redis_server.start_redis(REDIS, tmp_path)
    try:
        lines, deadline = [], time.monotonic() + 300
        consumer = Consumer(
            {"bootstrap.servers": f"127.0.0.1:{BROKER}", "group.id": "g", "auto.offset.reset": "earliest",
             "group.protocol": "consumer"}
        )  # fmt: skip
        consumer.subscribe(["ml.inference"])
        fed = None
        while fed is None and time.monotonic() < deadline and up.poll() is None:
            fed = consumer.poll(0.5)
        consumer.close()
        assert fed is not None, "nothing was fed"
        assert is_listening(HTTP)
        started = psutil.Process(up.pid).children(recursive=True)
        assert len(started) > 5

        asked = time.monotonic()
        up.send_signal(signal.SIGTERM)
        lines = up.communicate(timeout=120)[0].splitlines()
        took = time.monotonic() - asked
        assert took < 20, lines
        assert up.returncode == 0, lines
        assert "draining" in lines
        assert any(line.startswith("drained: read 0, answered 0") for line in lines), lines
        assert any("metrics: http://127.0.0.1" in line for line in lines)
        assert not living(started, 1)
        assert not is_listening(HTTP)
    finally:
        if up.poll() is None:
            up.kill()
        broker.stop()
        store.stop()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("end", ["killed", "the whole group is asked to end"])
def test_nothing_is_left_when_up_cannot_drain(project, tmp_path, end):
    """A launcher that is killed, and a supervisor that signals Ray's processes together with it."""
    up = start(project, "--no-feed", "--no-stream", start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not is_listening(HTTP) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert is_listening(HTTP), said_by(up)
        looked(reaper_of(up))
        started = psutil.Process(up.pid).children(recursive=True)
        if end == "killed":
            up.kill()
        else:
            os.killpg(up.pid, signal.SIGTERM)
        up.communicate(timeout=120)
    finally:
        up.kill()
    assert not living(started, 10)
    assert not is_listening(HTTP)


def test_a_taken_port_is_named_before_anything_starts(project):
    with socket.create_server(("127.0.0.1", DASHBOARD)):
        up = start(project)
        output = up.communicate(timeout=180)[0]
    assert up.returncode == 1
    assert f"port {DASHBOARD} (Ray dashboard) is taken" in output
    assert "set RAY_DASHBOARD_PORT to another port" in output


def test_a_wrong_serve_config_is_one_line(project):
    (project / "serve_config.yaml").write_text("applications: [")
    up = start(project)
    output = up.communicate(timeout=180)[0]
    assert up.returncode == 1
    assert "serve_config.yaml: is no YAML" in output
    assert "Traceback" not in output
