"""Several machines on one host: a Ray cluster whose nodes are raylets with loopback addresses of their own.

Each node has its own `MESH_HOST`, as a machine has its own address: what listens on one node is not found on another.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import serve
from ray._private.authentication import authentication_token_setup as ray_tokens
from ray.cluster_utils import Cluster
from ray.serve.config import HTTPOptions
from ray.serve.context import _get_global_client, _set_global_client
from ray.serve.schema import ServeDeploySchema
from ray_mesh import until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEAD = "127.0.0.10"
MISSED_S = 3
"""Seconds until this cluster misses a node; Ray's own default is five checks, 3 s apart."""
GONE_S = 180.0


@dataclass(frozen=True)
class Placed:
    """One replica, and where Serve has put it."""

    deployment: str
    state: str
    address: str
    pid: int


class RayNodes:
    """A head that takes no replicas, and workers by address. Every process has `environ`, and its node's `MESH_HOST`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**environ, "PYTHONPATH": f"{ROOT}:{HERE}", "RAY_worker_niceness": "0"}
        self._cluster = Cluster()
        self._nodes: dict[str, Any] = {}
        checks = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
        config = {**checks, "health_check_failure_threshold": MISSED_S}
        self.add(HEAD, num_cpus=0, include_dashboard=False, _system_config=config)

    @property
    def gcs(self) -> str:
        return str(self._cluster.address)

    def add(self, address: str, **options: Any) -> None:
        """A machine joins; `options` as of `ray start`."""
        environ = {**self._environ, "MESH_HOST": address}
        self._nodes[address] = self._cluster.add_node(node_ip_address=address, env_vars=environ, **options)

    def kill(self, address: str) -> None:
        """SIGKILL for everything that a machine runs, as when its power fails."""
        node = self._nodes.pop(address)
        _kill_all_of(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def end(self) -> None:
        """All of it at once: draining is not what costs its time here."""
        for node in self._nodes.values():
            _kill_all_of(node)
        self._cluster.shutdown()


def _kill_all_of(node: Any) -> None:
    (raylet,) = node.all_processes["raylet"]
    root = psutil.Process(raylet.process.pid)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def ray_nodes(environ: Mapping[str, str], http_port: int) -> Iterator[RayNodes]:
    """A head with Serve, whose own port answers on it; this process is its driver."""
    # `ray.init` of other modules has it on by default; nodes and driver must agree.
    if ray_tokens.enable_token_auth_by_default():
        ray_tokens.ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    nodes = RayNodes(environ)
    try:
        ray.init(address=nodes.gcs, _node_ip_address=HEAD)
        serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host=HEAD, port=http_port))
        yield nodes
    finally:
        ray.shutdown()
        nodes.end()
        _set_global_client(None)  # what Serve remembers of it in this process


def deploy(document: Mapping[str, Any]) -> None:
    """What `serve deploy` and KubeRay do with a Serve config."""
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(document))


def placed(app: str, deployment: str) -> list[Placed]:
    """The replicas of a deployment, in any state."""
    found = _get_global_client().get_serve_details()["applications"].get(app, {}).get("deployments", {})
    return [
        Placed(deployment, one["state"].value, one.get("node_ip", ""), one.get("pid", 0))
        for one in found.get(deployment, {}).get("replicas", ())
    ]


def running(app: str, deployment: str) -> list[Placed]:
    """Those that serve."""
    return [one for one in placed(app, deployment) if one.state == "RUNNING"]


def until_running(app: str, deployment: str, replicas: int, seconds: float = GONE_S) -> float:
    """Wait until so many serve, and no other is there; the seconds that it took."""

    def whole() -> bool:
        return len(placed(app, deployment)) == len(running(app, deployment)) == replicas

    return until(whole, seconds, lambda: f"{placed(app, deployment)}")


def listens_at(process: int, address: str, port: int) -> bool:
    """A process listens there itself."""
    connections = psutil.Process(process).net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr == (address, port) for one in connections)
