"""The feature store for commands: a view by its name, its history, and Redis."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mesh.cli import environment
from mesh.errors import InvalidConfig, MeshError, NotFound
from mesh.routing.problems import nearest
from mesh.settings import Settings
from mesh.spec import load_features
from mesh.stores.kept_windows import read_kept_windows
from mesh.stores.redis_online import RedisOnlineStore
from mesh.stores.rows import Window
from mesh.stores.views import FeatureView

if TYPE_CHECKING:
    from mesh.stores.delta_reader import DeltaReader
    from mesh.stores.delta_tiers import DeltaTiers
    from mesh.stores.delta_writer import DeltaWriter

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Place:
    """One view, the address of its history, and the folder that relative paths start from."""

    settings: Settings
    view: FeatureView
    history: str
    root: Path

    def reader(self) -> "DeltaReader":
        """Its history; `StoreFailed` where there is none."""
        found: DeltaReader = _delta("delta_reader").DeltaReader(self.history, self.view)
        return found

    def writer(self) -> "DeltaWriter":
        """Its history, to be added to; made where there is none."""
        found: DeltaWriter = _delta("delta_writer").DeltaWriter(self.history, self.view)
        return found

    def tiers(self) -> "DeltaTiers":
        """Its history, to be aged; `StoreFailed` where there is none."""
        found: DeltaTiers = _delta("delta_tiers").DeltaTiers(self.history, self.view)
        return found

    def kept_windows(self, given: Path | None) -> tuple[Window, ...]:
        """The windows that stay whole: those of the file that is given, else of the view's own."""
        own = self.view.tiers.kept_windows
        if given is None and not own:
            return ()
        return read_kept_windows(given or self.root / own)

    def online(self, ask: Callable[[RedisOnlineStore], Awaitable[Result]]) -> Result:
        """What `ask` finds in Redis; `OnlineAway` where it does not answer."""

        async def asking() -> Result:
            store = RedisOnlineStore(self.settings.redis_url)
            try:
                return await ask(store)
            finally:
                await store.close()

        return asyncio.run(asking())


def place_of(name: str) -> Place:
    """The view `name` of features.yaml; `NotFound` where there is none, `InvalidConfig` where it has no columns."""
    settings = environment.settings()
    folder = Path(settings.config_dir)
    store = load_features(folder, settings.features_history)
    view = store.views.get(name)
    if view is None:
        raise NotFound(f"no view '{name}' in features.yaml{nearest(name, store.views)}")
    if not view.columns:
        raise InvalidConfig(
            str(folder / "features.yaml"),
            0,
            f"views.{name}.columns",
            "follows telemetry.yaml, which declares no sensors: declare them, or name the columns",
        )
    root = environment.project_root(settings.config_dir)
    return Place(settings, view, store.address_of(view, root), root)


def _delta(module: str) -> Any:
    try:
        # Only here: nobody else needs deltalake and pyarrow.
        return importlib.import_module(f"mesh.stores.{module}")
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[features]'") from None
