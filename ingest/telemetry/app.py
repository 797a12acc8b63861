"""The application `telemetry`: the readers of raw telemetry."""

import os

from ray import serve

from ingest.app import MESH_APP
from ingest.config import IngestConfig
from ingest.scaling import scaling_options
from ingest.telemetry.configured import load_chain
from ingest.telemetry.deployment import Telemetry
from mesh.cluster.project import find_config
from mesh.errors import InvalidConfig
from mesh.rules.opening import newest_rules
from mesh.settings import Settings


def build(args: dict[str, object]) -> serve.Application:
    """The application for the configuration that `args` (key `config`) or `MESH_CONFIG` names.

    Raises `InvalidConfig`, which Serve shows as the application's status.
    """
    folder = find_config(args, os.environ)
    config = IngestConfig.from_environ(os.environ)
    chain = load_chain(folder, newest_rules(folder, Settings.from_environ(os.environ)))
    if not chain.telemetry.sensors:
        reason = "declare sensors, or take the application `telemetry` out of serve_config.yaml"
        raise InvalidConfig(str(folder / "telemetry.yaml"), 0, "sensors", reason)
    return _telemetry(config).bind(str(folder), MESH_APP)


def _telemetry(config: IngestConfig) -> serve.Deployment:
    return serve.deployment(Telemetry).options(
        name="telemetry",
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=100,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=config.drain_timeout_s + 10.0,
        health_check_period_s=5.0,
        health_check_timeout_s=30.0,
        **scaling_options(config),
    )
