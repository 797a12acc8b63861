"""A mesh on a real, small Ray of its own, for the tests that need one."""

import asyncio
import os
import socket
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import ray
from confluent_kafka import KafkaException
from ray import serve
from ray.serve.config import gRPCOptions
from stream_servers import STANDSTILL_S

from mesh.errors import StoreAway

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HTTP, GRPC, LANE_HTTP, LANE_GRPC, METRICS = 21300, 21301, 21302, 21303, 21304
REDIS = 21305
"""Where the mesh looks for Redis; a test that needs one starts it there."""

MODELS = """
models:
  echo:
    runtime: identity
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
  slow:
    runtime: python
    path: ray_models:Slow
    options: {seconds: 0.05}
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
    max_batch_rows: 4
  elastic:
    runtime: python
    path: ray_models:Slow
    options: {seconds: 0.2}
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
    max_batch_rows: 1
    scaling:
      {min_replicas: 0, max_replicas: 3, target_ongoing_requests: 2, upscale_delay_s: 1, downscale_delay_s: 2}
  wide:
    runtime: python
    path: ray_models:Wide
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
  broken:
    runtime: onnx
    path: models/not-there.onnx
"""
ROUTING = """
routes:
  - {name: all, when: "always", send: [echo]}
"""


@dataclass(frozen=True)
class RunningMesh:
    """Where the mesh of a test session answers."""

    config_dir: Path
    http: str = f"http://127.0.0.1:{HTTP}"
    lane: str = f"http://127.0.0.1:{LANE_HTTP}"
    grpc: str = f"127.0.0.1:{GRPC}"
    grpc_lane: str = f"127.0.0.1:{LANE_GRPC}"
    metrics: str = f"http://127.0.0.1:{METRICS}/metrics"


@contextmanager
def running_mesh(folder: Path) -> Iterator[RunningMesh]:
    """Start Ray and the application `mesh` from a configuration in `folder`; stop both at the end."""
    from serve.app import build

    config = folder / "config"
    config.mkdir()
    (config / "models.yaml").write_text(textwrap.dedent(MODELS))
    (config / "routing.yaml").write_text(textwrap.dedent(ROUTING))
    variables = {
        "PYTHONPATH": ":".join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT), str(HERE)]),
        "MESH_HTTP_PORT": str(LANE_HTTP),
        "MESH_GRPC_PORT": str(LANE_GRPC),
        "ML_PROMETHEUS_PORT": str(METRICS),
        "MESH_CONFIG": "",
        "REDIS_URL": f"redis://127.0.0.1:{REDIS}/0",
    }
    ray.init(address="local", num_cpus=4, include_dashboard=False, runtime_env={"env_vars": variables})
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": HTTP},
            grpc_options=gRPCOptions(
                port=GRPC,
                grpc_servicer_functions=["serve.grpc_stubs.add_GRPCInferenceServiceServicer_to_server"],
            ),
        )
        target = serve.RunTarget(build({"config": str(config)}), name="mesh", route_prefix="/")
        serve.run_many([target], wait_for_applications_running=False)
        mesh = RunningMesh(config)
        until(lambda: status_of(f"{mesh.lane}/v2/models/default/ready") == 200, 150)
        yield mesh
    finally:
        serve.shutdown()
        ray.shutdown()


def until(condition: Callable[[], bool], seconds: float, say: Callable[[], str] = str) -> float:
    """Wait until `condition` holds; the seconds that it took, `TimeoutError` with what `say` tells if it never did.

    A server that does not answer in time, or cannot be reached, has not told yet.
    """
    began = time.monotonic()
    while (why := _not_yet(condition)) is not None:
        if time.monotonic() > began + seconds + STANDSTILL_S:
            raise TimeoutError(f"not so after {seconds} s {say()} {why}")
        time.sleep(0.05)
    return time.monotonic() - began


async def until_async(condition: Callable[[], bool], seconds: float) -> float:
    """`until`, for a test on an event loop."""
    began = time.monotonic()
    while (why := _not_yet(condition)) is not None:
        if time.monotonic() > began + seconds + STANDSTILL_S:
            raise TimeoutError(f"not so after {seconds} s {why}")
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def _not_yet(condition: Callable[[], bool]) -> str | None:
    """None where it holds, else why not, as far as that is known."""
    try:
        return None if condition() else ""
    except (httpx.HTTPError, KafkaException, StoreAway) as error:
        return repr(error)


def status_of(url: str) -> int:
    """The HTTP status of a GET; 0 where nobody answers."""
    try:
        return httpx.get(url, timeout=10).status_code
    except httpx.TransportError:
        return 0


def listens(port: int) -> bool:
    """Something listens on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
