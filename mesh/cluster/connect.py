"""An engine in this Ray cluster: it follows the directory, and can fall back to Serve's handles."""

import asyncio
from collections.abc import Mapping

import ray

from mesh.cluster.directory import watch_directory
from mesh.cluster.handle_client import HandleClient
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, HandlePath, ModelPolicy, Observer
from mesh.settings import Settings
from mesh.spec import MeshConfig, ModelSpec


class ConnectedEngine(Engine):
    """An engine whose replicas come from the directory until it is closed."""

    def use_handles(self, handles: "Handles") -> None:
        """Where the handle paths come from."""
        self._handle_paths = handles

    def follow_directory(self) -> None:
        """Begin to take over what the directory knows, in the background."""
        self._watcher = asyncio.get_running_loop().create_task(watch_directory(self.update_replicas))

    def take(self, config: MeshConfig, apps: Mapping[str, str]) -> None:
        """Answer by `config` from now on; `apps` are the applications of models that are not in the mesh's own."""
        self.adopt(engine_config(config), self._handle_paths.of(config, apps))

    async def close(self) -> None:
        """Stop following, then close as an engine does."""
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await super().close()


async def connect_engine(
    config: MeshConfig,
    settings: Settings,
    app_name: str,
    observer: Observer | None = None,
    apps: Mapping[str, str] | None = None,
) -> ConnectedEngine:
    """An engine for the models of Serve application `app_name`, on this event loop; `apps` as in `take`.

    It does not wait for replicas: calls made before any is known go through the handles, which wait for one.
    """
    handles = Handles(app_name)
    engine = ConnectedEngine(
        engine_config(config),
        node=ray.get_runtime_context().get_node_id(),
        handles=handles.of(config, apps or {}),
        observer=observer,
        direct=settings.data_path == "direct",
        noting=settings.trace_ratio is not None,
    )
    engine.use_handles(handles)
    engine.follow_directory()
    return engine


def engine_config(config: MeshConfig) -> EngineConfig:
    """What an engine answers by a configuration."""
    models = {name: policy_of(spec) for name, spec in config.models.items()}
    return EngineConfig(config.tables, config.facts, models, config.rules_hash)


class Handles:
    """The handle paths of models, each made once: making one asks Serve's controller."""

    def __init__(self, app_name: str) -> None:
        """Models are in the application `app_name` where nothing else is said."""
        self._app_name = app_name
        self._made: dict[tuple[str, str, float], HandlePath] = {}

    def of(self, config: MeshConfig, apps: Mapping[str, str]) -> dict[str, HandlePath]:
        """One for each model of `config`."""
        keys = {
            name: (apps.get(name, self._app_name), name, spec.timeout_s)
            for name, spec in config.models.items()
        }
        self._made = {key: self._made.get(key) or HandleClient(*key) for key in keys.values()}
        return {name: self._made[key] for name, key in keys.items()}


def policy_of(spec: ModelSpec) -> ModelPolicy:
    """How the engine calls a model."""
    return ModelPolicy(
        spec.max_batch_rows,
        spec.max_inflight,
        spec.timeout_s,
        may_sleep=spec.scaling.min_replicas == 0,
        breaker=spec.breaker.policy(),
    )
