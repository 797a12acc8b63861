"""How much lies in each tier of the store, as far as it can be told from here."""

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mesh.cli import environment
from mesh.costs.usage import GB
from mesh.settings import Settings
from mesh.spec import load_features
from mesh.stores.errors import StoreFailed

_TIMEOUT_S: Final = 2.0


def stored_gb(settings: Settings) -> Mapping[str, float]:
    """Gigabytes by tier; a tier of which nothing can be found out is left out."""
    found = {}
    hot = asyncio.run(_redis_bytes(settings.redis_url))
    if hot is not None:
        found["hot"] = hot / GB
    return found | {tier: size / GB for tier, size in _history_bytes(settings).items()}


async def _redis_bytes(url: str) -> int | None:
    client = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    try:
        return int((await client.info("memory"))["used_memory"])
    except (RedisError, OSError):
        return None
    finally:
        await client.aclose()


def _history_bytes(settings: Settings) -> Mapping[str, int]:
    try:
        # Only here: without the extra there is no history.
        delta = importlib.import_module("mesh.stores.delta_size")
    except ImportError:
        return {}
    folder = Path(settings.config_dir)
    store, root = (
        load_features(folder, settings.features_history),
        environment.project_root(settings.config_dir),
    )
    sizes: dict[str, int] = {}
    for view in store.views.values():
        try:
            found = delta.bytes_by_tier(store.address_of(view, root), view)
        except StoreFailed:
            continue  # nothing was materialized yet
        for tier, size in found.items():
            sizes[tier] = sizes.get(tier, 0) + size
    return sizes
