"""An engine in this Ray cluster: it follows the directory, and can fall back to Serve's handles."""

import asyncio

import ray

from mesh.cluster.directory import watch_directory
from mesh.cluster.handle_client import HandleClient
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, HandlePath, ModelPolicy, Observer
from mesh.settings import Settings
from mesh.spec import MeshConfig, ModelSpec


class ConnectedEngine(Engine):
    """An engine whose replicas come from the directory until it is closed."""

    def follow_directory(self) -> None:
        """Begin to take over what the directory knows, in the background."""
        self._watcher = asyncio.get_running_loop().create_task(watch_directory(self.update_replicas))

    async def close(self) -> None:
        """Stop following, then close as an engine does."""
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await super().close()


async def connect_engine(
    config: MeshConfig, settings: Settings, app_name: str, observer: Observer | None = None
) -> ConnectedEngine:
    """An engine for the models of Serve application `app_name`, on this event loop.

    It does not wait for replicas: calls made before any is known go through the handles, which wait for one.
    """
    models = {name: policy_of(spec) for name, spec in config.models.items()}
    # Making a handle asks Serve's controller and blocks; the loop goes on meanwhile.
    handles: dict[str, HandlePath] = {
        name: HandleClient(app_name, name, policy.timeout_s) for name, policy in models.items()
    }
    engine = ConnectedEngine(
        EngineConfig(config.tables, config.facts, models, config.rules_hash),
        node=ray.get_runtime_context().get_node_id(),
        handles=handles,
        observer=observer,
        direct=settings.data_path == "direct",
    )
    engine.follow_directory()
    return engine


def policy_of(spec: ModelSpec) -> ModelPolicy:
    """How the engine calls a model."""
    return ModelPolicy(
        spec.max_batch_rows,
        spec.max_inflight,
        spec.timeout_s,
        may_sleep=spec.scaling.min_replicas == 0,
        breaker=spec.breaker.policy(),
    )
