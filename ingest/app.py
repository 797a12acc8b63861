"""The application `ingest`: the readers of the stream. The one place that binds."""

import os
from typing import Final

from ray import serve

from ingest.config import IngestConfig
from ingest.deployment import Ingest
from ingest.scaling import scaling_options
from mesh.cluster.project import find_config
from mesh.rules.opening import newest_rules
from mesh.settings import Settings

MESH_APP: Final = "mesh"


def build(args: dict[str, object]) -> serve.Application:
    """The application for the configuration that `args` (key `config`) or `MESH_CONFIG` names.

    Raises `InvalidConfig`, which Serve shows as the application's status.
    """
    folder = find_config(args, os.environ)
    config = IngestConfig.from_environ(os.environ)
    # What is wrong with it is said here, not by replicas
    newest_rules(folder, Settings.from_environ(os.environ))
    return _ingest(config).bind(str(folder), MESH_APP)


def _ingest(config: IngestConfig) -> serve.Deployment:
    return serve.deployment(Ingest).options(
        name="ingest",
        ray_actor_options={"num_cpus": 0.1},
        max_ongoing_requests=100,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=config.drain_timeout_s + 10.0,
        health_check_period_s=5.0,
        health_check_timeout_s=30.0,
        **scaling_options(config),
    )
