"""Models that come while the mesh runs: each is a Serve application of its own, until the mesh is started again."""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from ray import serve
from ray.exceptions import RayError
from ray.serve.schema import ApplicationStatus

from mesh.bounded import within
from mesh.cluster.directory import watch_directory
from mesh.engine.replica import Replica
from mesh.errors import MeshError, Unavailable
from mesh.spec import ModelSpec
from serve.app import host_options
from serve.model_host import ModelHost

PREFIX: Final = "model."
READY_S: Final = 120.0
"""A model that does not serve after so long is given up."""
DROP_AFTER_S: Final = 75.0
"""How long a model that no table names is kept: engines may answer by an earlier table for a minute."""
_POLL_S: Final = 0.25

_DEPLOYING: Final = threading.Lock()

logger = logging.getLogger("ray.serve")


async def open_hosting(config_dir: str, wanted: Callable[[str], bool]) -> "ServeHosting":
    """Hosting that knows the models which an earlier one has started; `wanted` says whether the rules name a model now."""
    return ServeHosting(config_dir, wanted, await asyncio.to_thread(_running))


class ServeHosting:
    """Hosting on Ray Serve. Lives on one event loop."""

    def __init__(self, config_dir: str, wanted: Callable[[str], bool], apps: Mapping[str, str]) -> None:
        """`apps` are the applications of models that run already."""
        self._config_dir, self._wanted = config_dir, wanted
        self._apps = dict(apps)
        self._serving: frozenset[str] = frozenset()
        self._held: Counter[str] = Counter()
        """How many changes that are not decided yet need a model."""
        self._ending: set[str] = set()
        """Models that are being deleted: a replica may hold its lease a while longer."""
        self._drops: Counter[str] = Counter()
        """How often a model was dropped: only the newest drop's time counts."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._keep(watch_directory(self._leases))

    @property
    def apps(self) -> Mapping[str, str]:
        """The applications of models that this or an earlier hosting has started."""
        return self._apps

    async def host(self, spec: ModelSpec) -> None:
        """Return when a replica holds a lease. Raises `MeshError` with what Serve says where none comes to."""
        self._held[spec.name] += 1  # before all else: an earlier drop may be about to delete it
        give_up = time.monotonic() + READY_S
        while spec.name in self._ending:
            if time.monotonic() > give_up:
                raise Unavailable(spec.name, "Serve is still deleting an earlier one: try again in a minute")
            await asyncio.sleep(_POLL_S)
        if spec.name in self._serving:
            return
        app = f"{PREFIX}{spec.name}"
        try:
            self._apps[spec.name] = app  # before all else: what Serve takes up too late is deleted too
            await within(READY_S, asyncio.to_thread(_deploy, app, spec, self._config_dir))
            await self._serves(app, spec.name)
        except (RayError, TimeoutError) as error:
            said = str(error) or f"nothing within {READY_S:.0f} s"
            raise Unavailable(spec.name, f"Ray Serve does not answer: {said}") from error

    def release(self, model: str) -> None:
        """As `Hosting.release`. A model that is not wanted then is dropped by whoever says so."""
        self._held[model] -= 1
        if self._held[model] <= 0:
            del self._held[model]

    async def drop(self, model: str) -> None:
        """Delete the model's application later, unless it is wanted again; one of the mesh's own stays until the next start."""
        if model in self._apps:
            self._drops[model] += 1
            self._keep(self._delete(model, self._drops[model]))

    async def _serves(self, app: str, model: str) -> None:
        give_up = time.monotonic() + READY_S
        while model not in self._serving:
            await asyncio.sleep(_POLL_S)
            found = (await within(READY_S, asyncio.to_thread(serve.status))).applications.get(app)
            if found is not None and found.status in (
                ApplicationStatus.DEPLOY_FAILED,
                ApplicationStatus.UNHEALTHY,
            ):
                said = [one.message for one in found.deployments.values() if one.message]
                raise MeshError(_reason(said[0] if said else found.message))
            if time.monotonic() > give_up:
                raise Unavailable(model, f"no replica serves after {READY_S:.0f} s")

    async def _delete(self, model: str, drop: int) -> None:
        await asyncio.sleep(DROP_AFTER_S if model in self._serving else 0)
        # Who holds it drops it again where it comes to nothing.
        if self._wanted(model) or model in self._held or drop != self._drops[model]:
            return
        app = self._apps.pop(model, None)
        if app is None:
            return
        self._ending.add(model)
        try:
            await within(READY_S, asyncio.to_thread(serve.delete, app, False))
            await self._left(model)
        except (RayError, TimeoutError) as error:
            logger.warning("the application %s is not deleted: %s", app, error)
        finally:
            self._ending.discard(model)

    async def _left(self, model: str) -> None:
        give_up = time.monotonic() + READY_S
        while model in self._serving and time.monotonic() < give_up:  # noqa: ASYNC110 - rare
            await asyncio.sleep(_POLL_S)

    def _leases(self, replicas: tuple[Replica, ...]) -> None:
        self._serving = frozenset(replica.model for replica in replicas)

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _deploy(app: str, spec: ModelSpec, config_dir: str) -> None:
    bound = serve.deployment(ModelHost).options(**host_options(spec)).bind(spec, config_dir)
    target = serve.RunTarget(bound, name=app, route_prefix=None)
    with _DEPLOYING:  # Ray registers modules for pickling by name, and not for several threads
        serve.run_many([target], wait_for_applications_running=False)


def _running() -> dict[str, str]:
    found = serve.status().applications
    return {model: app for app, one in found.items() if app.startswith(PREFIX) for model in one.deployments}


def _reason(message: str) -> str:
    """The error itself out of what Serve says, which is a stack trace for the most part."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if "Error:" in line and not line.startswith("ray::")]
    return (errors[-1] if errors else lines[0] if lines else "Serve does not say why")[:500]
