"""The mesh on several machines: who runs where, a machine that dies under load, and a redeploy that nobody notices.

A head and three workers as raylets of their own, as docs/kubernetes.md lays them out: the head takes no replicas, each
worker has the resource `edge` and so one router, one worker has a GPU. `-s` shows what docs/scaling.md quotes.

Two replicas that may not share a machine start on the two that are there first; the one with the GPU joins them.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton
import yaml
from ray_mesh import until
from ray_nodes import HEAD, Placed, RayNodes, deploy, listens_at, placed, ray_nodes, running, until_running
from steady_clients import SteadyClient, asking, told
from stream_checker import FLUSH_S, Numbering, judge
from stream_servers import ROOT, RealKafka, RealRedis

from mesh.kubernetes.serve_config import EDGE, serve_config

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

KAFKA, REDIS, HTTP, LANE_HTTP, LANE_GRPC, METRICS = 21760, 21770, 21771, 21772, 21773, 21774
TOPIC, GROUP, LOG = "ml.inference", "ml-streaming", "ml:stream:inference:log"
PLAIN, GPU, SPARE = ("127.0.0.11", "127.0.0.12"), "127.0.0.13", "127.0.0.14"
WORKERS = (*PLAIN, GPU)
REPLICAS = {"router": 3, "echo": 2, "on-gpu": 1}
READERS = 2
MODELS = """
models:
  echo:
    runtime: identity
    version: "{version}"
    inputs: [{{name: x, datatype: FP32, shape: [-1, 4]}}]
    scaling: {{min_replicas: 2, max_replicas: 2}}
  on-gpu:
    runtime: identity
    version: "{version}"
    inputs: [{{name: x, datatype: FP32, shape: [-1, 4]}}]
    num_gpus: 1
"""
ROUTING = """
routes:
  - {name: all, when: "always", send: [echo]}
"""


@dataclass
class Mesh:
    """The nodes, and what the mesh on them reads and writes."""

    nodes: RayNodes
    kafka: RealKafka
    redis: RealRedis
    folder: Path
    workers: tuple[str, ...] = WORKERS

    def deploy(self, version: str) -> None:
        """The applications with models of this version, from a folder of their own."""
        config = self.folder / f"config-{version}"
        config.mkdir()
        (config / "models.yaml").write_text(MODELS.format(version=version))
        (config / "routing.yaml").write_text(ROUTING)
        deploy(applications(config))

    def until_whole(self) -> None:
        for name, replicas in REPLICAS.items():
            until_running("mesh", name, replicas)
        until_running("ingest", "ingest", READERS)

    def committed(self) -> int:
        return sum(max(0, offset) for offset in self.kafka.committed(TOPIC, GROUP).values())


def applications(config: Path) -> dict[str, Any]:
    """The shipped Serve config as it is for Kubernetes, less what these tests do not ask."""
    document = dict(serve_config(yaml.safe_load((ROOT / "serve_config.yaml").read_text())))
    apart = {"mesh": "echo", "ingest": "ingest"}
    document["applications"] = [
        {
            **one,
            "args": {"config": str(config)},
            "deployments": [
                *one.get("deployments", ()),
                {"name": apart[one["name"]], "max_replicas_per_node": 1},
            ],
        }
        for one in document["applications"]
        if one["name"] in apart
    ]
    # Serve's own ports are opened by the fixture: a host has one proxy, however many nodes it stands for.
    return {name: value for name, value in document.items() if name in ("applications", "logging_config")}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("nodes")
    kafka, redis = RealKafka(folder / "kafka", KAFKA), RealRedis(folder, REDIS)
    environ = {
        "MESH_ROUTERS": "3",
        "MESH_HTTP_PORT": str(LANE_HTTP),
        "MESH_GRPC_PORT": str(LANE_GRPC),
        "ML_PROMETHEUS_PORT": str(METRICS),
        "MESH_CONFIG": "",
        "MESH_DATABASE_URL": f"sqlite:///{folder}/records.db",
        "MESH_RULES_STORE": "redis",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "REDIS_URL": redis.url,
        "INGEST_MIN_READERS": str(READERS),
        "INGEST_MAX_READERS": str(READERS),
        "INGEST_LOG_RECORDS": "1000000",
        # A reader's partitions move when its session ends; this is the shortest that a broker grants by default.
        "KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000",
        "KAFKA_CLIENT_HEARTBEAT_INTERVAL_MS": "1000",
    }
    try:
        redis.start()
        redis.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        with ray_nodes(environ, HTTP) as nodes:
            for address in PLAIN:
                nodes.add(address, num_cpus=2, resources={EDGE: 1})
            whole = Mesh(nodes, kafka, redis, folder)
            whole.deploy("1")
            kafka.start()  # whoever reads waits for it
            kafka.create(TOPIC, f"{TOPIC}.dlq")
            until_running("mesh", "echo", REPLICAS["echo"])
            until_running("ingest", "ingest", READERS)
            nodes.add(GPU, num_cpus=2, num_gpus=1, resources={EDGE: 1})
            whole.until_whole()
            yield whole
    finally:
        redis.kill()
        kafka.kill()


class Feed:
    """200 numbered records a second, 1 % of them poison, until it is held."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._numbering = Numbering(mesh.kafka.bootstrap, TOPIC)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Produce meanwhile; afterwards every record so far is where it belongs, and its offset committed."""
        over = threading.Event()
        thread = threading.Thread(target=self._run, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(FLUSH_S + 30)
        produced = self._numbering.produced
        until(lambda: self._mesh.committed() == len(produced.numbers), 180)
        verdict = judge(produced, self._mesh.redis.client, LOG, self._mesh.kafka.bootstrap)
        print(f"stream: {verdict.produced} records, {verdict.repeated} repeated, {len(verdict.lost)} lost")
        assert verdict.holds, verdict

    def _run(self, over: threading.Event) -> None:
        while not over.wait(0.2):
            self._numbering.send(40)


@pytest.fixture(scope="module")
def feed(mesh: Mesh) -> Feed:
    return Feed(mesh)


def clients(*addresses: str, port: int = LANE_HTTP, endpoint: str = "default") -> list[SteadyClient]:
    """One for each machine, which it asks first; where there is one alone, it asks that again."""
    every = [(address, port) for address in addresses] * 2
    return [SteadyClient(every[n:], endpoint, period_s=0.04) for n in range(len(addresses))]


def test_each_replica_is_where_it_was_declared(mesh: Mesh) -> None:
    where = {name: sorted(one.address for one in running("mesh", name)) for name in REPLICAS}
    where["ingest"] = sorted(one.address for one in running("ingest", "ingest"))
    for name in (*REPLICAS, "ingest"):
        one = running("ingest" if name == "ingest" else "mesh", name)[0]
        print(f"{name}: {psutil.Process(one.pid).memory_info().rss / 2**20:.0f} MiB")
    assert where == {"router": list(WORKERS), "echo": list(PLAIN), "on-gpu": [GPU], "ingest": list(PLAIN)}


def test_every_machine_has_a_router_that_reaches_the_models_of_the_others(mesh: Mesh) -> None:
    row = triton.InferInput("x", [1, 4], "FP32")
    row.set_data_from_numpy(np.ones((1, 4), np.float32))
    for router in running("mesh", "router"):
        with triton.InferenceServerClient(f"{router.address}:{LANE_GRPC}") as client:
            assert client.infer("on-gpu", [row]).as_numpy("x").tolist() == [[1, 1, 1, 1]]
        assert listens_at(router.pid, router.address, LANE_HTTP)
        others = {one.raddr.ip for one in psutil.Process(router.pid).net_connections("tcp") if one.raddr}
        assert router.address == GPU or GPU in others, "rows take the direct path to another machine"


def test_one_scrape_of_the_head_shows_every_machine(mesh: Mesh) -> None:
    def page() -> str:
        return httpx.get(f"http://{HEAD}:{METRICS}/metrics", timeout=60).text

    def shown(model: str, replicas: int) -> bool:
        series = f'mesh_model_replicas{{model="{model}",version="1"}} {replicas}'
        return re.search(f"^{re.escape(series)}", page(), re.MULTILINE) is not None

    until(lambda: shown("echo", 2) and shown("on-gpu", 1), 30, lambda: page()[:2000])


def test_a_machine_dies_under_load(mesh: Mesh, feed: Feed) -> None:
    victim, survivors = PLAIN[1], (PLAIN[0], GPU)
    lanes, gpu = clients(*PLAIN, GPU), clients(*PLAIN, endpoint="on-gpu")
    proxied = clients(HEAD, HEAD, port=HTTP)
    with feed.flowing(), asking(lanes, gpu, proxied):
        time.sleep(1)
        died = time.monotonic()
        mesh.nodes.kill(victim)
        for app, name in (("mesh", "echo"), ("ingest", "ingest")):
            until(lambda a=app, n=name: addresses(a, n) == [*survivors], 180)
            print(f"{name}: whole again on other machines {time.monotonic() - died:.1f} s after the death")
        mesh.nodes.add(SPARE, num_cpus=2, resources={EDGE: 1})
        joined = time.monotonic()
        until(lambda: addresses("mesh", "router") == [*survivors, SPARE], 180)
        print(f"router: serves {time.monotonic() - joined:.1f} s after a machine has joined")
    mesh.workers = (*survivors, SPARE)
    for name, group in (("fast lane", lanes), ("on the GPU", gpu), ("through Serve", proxied)):
        print(told(name, group))
        assert sum(one.wrong for one in group) == 0
        assert [one.failures for one in group if one.failures] == []
        # A client has one request under way, and only who was connected to that machine can lose it.
        assert all(len(one.tries) <= 1 for one in group)


def test_a_redeploy_of_everything_is_noticed_by_nobody(mesh: Mesh, feed: Feed) -> None:
    before = {one.pid for replicas, _ in everything() for one in replicas}
    lanes, proxied = clients(*mesh.workers), clients(HEAD, HEAD, port=HTTP)
    with feed.flowing(), asking(lanes, proxied):
        time.sleep(1)
        began = time.monotonic()
        mesh.deploy("2")
        until(lambda: renewed(before), 300)
        print(f"redeploy: {time.monotonic() - began:.1f} s")
    for name, group in (("fast lane", lanes), ("through Serve", proxied)):
        print(told(name, group))
        assert sum(one.wrong for one in group) == 0
        assert [one.failures for one in group if one.failures] == []
        assert all(set(one.versions) == {"1", "2"} for one in group)
    assert [one.tries for one in proxied if one.tries] == []
    assert addresses("mesh", "router") == sorted(mesh.workers)


def addresses(app: str, deployment: str) -> list[str]:
    """The machines of the replicas that serve."""
    return sorted(one.address for one in running(app, deployment))


def everything() -> list[tuple[list[Placed], int]]:
    """The replicas of every deployment, in any state, and how many there should be."""
    ours = [(placed("mesh", name), wanted) for name, wanted in REPLICAS.items()]
    return [*ours, (placed("ingest", "ingest"), READERS)]


def renewed(before: set[int]) -> bool:
    """As many as there should be, all of them serve, and none is of the processes from before."""
    return all(
        len(replicas) == wanted and all(one.state == "RUNNING" and one.pid not in before for one in replicas)
        for replicas, wanted in everything()
    )
