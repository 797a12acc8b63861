"""A mesh on a Ray of its own: start from a Serve config, ask, drain, end. The only file here with Ray.

Import it after Ray's variables are set: Ray reads them when it is imported.
"""

import asyncio
import contextlib
import io
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import ray
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayError
from ray.serve._private.api import serve_start
from ray.serve.config import gRPCOptions
from ray.serve.schema import ServeDeploySchema

from mesh.cluster.scoreboard import read_summary
from mesh.errors import InvalidConfig, MeshError, StoreAway
from mesh.settings import Settings
from mesh.telemetry.summary import Summary

INGEST: Final = "ingest"
READERS: Final = frozenset({INGEST, "telemetry"})
"""The applications that read Kafka."""
_POLL_S: Final = 0.2

logger = logging.getLogger(__name__)


class MeshRun:
    """A mesh to start, once. `settings` are those of its processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._applications: set[str] = set()
        self._client: Any = None

    def start(self, document: Mapping[str, Any], file: Path, address: str, dashboard_port: int) -> None:
        """Start Ray and deploy what `document` says, as `serve run` does; returns before it is ready.

        `document` comes from `file`, in the project's root, from which the processes import; `address` is
        RAY_ADDRESS. Raises `InvalidConfig`, and `MeshError` where Ray does not start.
        """
        sys.path.insert(0, str(file.resolve().parent))
        config = _validated(document, file)
        try:
            self._start_ray(address, dashboard_port)
        except (RayError, RuntimeError, ConnectionError) as error:
            raise MeshError(f"Ray did not start (RAY_ADDRESS={address}): {error}") from None
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        self._client = serve_start(
            http_options=config.http_options.model_dump(),
            grpc_options=gRPCOptions(**config.grpc_options.model_dump()),
            proxy_location=config.proxy_location,
            controller_options=config.controller_options,
            global_logging_config=config.logging_config,
        )
        self._client.deploy_apps(config)
        self._applications = {application.name for application in config.applications}

    def _start_ray(self, address: str, dashboard_port: int) -> None:
        ray.init(
            address=address,
            namespace="serve",
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            dashboard_port=dashboard_port,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )

    def problems(self) -> tuple[str, ...]:
        """One line for every deployment that is not healthy; none when all of the mesh serves."""
        try:
            found = serve.status().applications
        except (RayError, TimeoutError) as error:
            return (f"Ray Serve does not answer: {str(error).splitlines()[0]}",)
        lines = [
            f"application {name}: not deployed yet" for name in sorted(self._applications - found.keys())
        ]
        for name, application in found.items():
            unwell = {key: one for key, one in application.deployments.items() if one.status != "HEALTHY"}
            lines += [_words(key, one) for key, one in unwell.items()]
            if not unwell and application.status != "RUNNING":
                lines.append(_words(f"application {name}", application))
        return tuple(lines)

    def takes_records(self) -> bool:
        """True when ingest runs. A model that does not start keeps its rows back, and no others."""
        try:
            found = serve.status().applications.get(INGEST)
        except (RayError, TimeoutError):
            return False
        return found is not None and found.status == "RUNNING"

    def summary(self) -> Summary | None:
        """The figures of all processes; None while the scoreboard does not answer."""
        try:
            return asyncio.run(read_summary(self._settings))
        except StoreAway as error:
            logger.debug("no figures: %s", error)
            return None

    def drain_readers(self, timeout_s: float) -> None:
        """Let the readers of the stream finish what they have read; returns when they are gone."""
        readers = READERS & self._applications
        deadline = time.monotonic() + timeout_s
        try:
            for name in readers:
                serve.delete(name, _blocking=False)
            while readers & serve.status().applications.keys() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        except (RayError, TimeoutError) as error:
            logger.warning("the readers could not be drained: %s", error)

    def end(self, timeout_s: float) -> bool:
        """End Serve and Ray; True when done."""
        # Ray reports the end of its own controller as an error that will be retried.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            try:
                if self._client is not None:
                    self._client.shutdown(timeout_s=timeout_s)
            except (RayError, TimeoutError) as error:
                logger.debug("Serve did not end by itself: %s", error)
            ray.shutdown()
        return True


def _validated(document: Mapping[str, Any], file: Path) -> ServeDeploySchema:
    try:
        return ServeDeploySchema.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidConfig(str(file), 0, ".".join(map(str, first["loc"])), first["msg"]) from None


def _words(name: str, overview: Any) -> str:
    """The status and the first line of what Serve says; its stack traces stand in the logs."""
    said = next((line.strip() for line in overview.message.splitlines() if line.strip()), "")
    return f"{name}: {overview.status.value.lower().replace('_', ' ')}" + (f", {said[:200]}" if said else "")
