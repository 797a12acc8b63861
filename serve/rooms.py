"""The rooms of the API beside inference, opened for one router: what each stands on, and its routes."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import APIRouter

from mesh.cli.stored import stored_gb
from mesh.cluster.rules_client import DeskClient
from mesh.cluster.scoreboard import read_exposition, read_summary
from mesh.records.opened import Records
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_alerts, load_features, load_learning, load_prices
from mesh.stores.alerts import RedisAlerts
from mesh.stores.predictions import RedisLog
from mesh.stores.redis_online import RedisOnlineStore
from serve.access.door import open_door
from serve.access.guard import App
from serve.api.alerts import alerts_router
from serve.api.costs import costs_router
from serve.api.drift import drift_router
from serve.api.features import features_router
from serve.api.predictions import predictions_router
from serve.api.rules import rules_router
from serve.api.shadows import shadows_router
from serve.costs import MeasuredCosts
from serve.drift import DriftNow
from serve.ground import Ground
from serve.review import open_review
from serve.rollouts import open_rollouts
from serve.status import Status, status_router


async def open_rooms(ground: Ground, parts: AsyncExitStack) -> tuple[list[APIRouter], Callable[[App], App]]:
    """All routes but those of inference, and the guard before them; `parts` closes what they stand on.

    Raises `InvalidConfig` for a mistake in their files.
    """
    settings, config = ground.settings, ground.live.config
    door = open_door(
        settings, config.topics["audit"], config.project_root, ground.recorder, ground.owner, ground.gate
    )
    parts.push_async_callback(door.close)
    ground.tokens.know(door.records.token)
    return [*await _routers(ground, door.records, parts), *door.routers], door.guarded


async def _routers(ground: Ground, records: Records, parts: AsyncExitStack) -> list[APIRouter]:
    folder, settings, live = ground.folder, ground.settings, ground.live
    alerts = RedisAlerts(settings.redis_url, await asyncio.to_thread(load_alerts, folder))
    features = RedisOnlineStore(settings.redis_url)
    log = RedisLog(settings.redis_url, settings.redis_channel)
    for store in (alerts, features, log):
        parts.push_async_callback(store.close)
    review = open_review(
        settings, live.config, folder, alerts, features, records, ground.owner, ground.recorder
    )
    parts.push_async_callback(review.close)
    views = (await asyncio.to_thread(load_features, folder)).views
    quiet_ms = (await asyncio.to_thread(load_learning, folder)).drift.quiet_ms
    drift = DriftNow(alerts, quiet_ms, lambda: read_summary(settings))
    desk, ledger = DeskClient(folder, settings), records.ledger
    return [
        status_router(Status(live, settings, ground.engine, lambda: read_summary(settings))),
        predictions_router(log, sticky_keys(live.config)),
        alerts_router(alerts, ledger),
        features_router(views, features),
        rules_router(desk, desk, ledger),
        shadows_router(desk),
        costs_router(await measured_costs(folder, settings, live.config)),
        review.router,
        drift_router(drift),
        await open_rollouts(folder, settings, desk, lambda: live.config, records, drift, ground.owner, parts),
    ]


async def measured_costs(folder: Path, settings: Settings, config: MeshConfig) -> MeasuredCosts:
    """The bill, at the prices of the folder's sheet."""
    prices = await asyncio.to_thread(load_prices, folder)
    gpus = {name: spec.num_gpus for name, spec in config.models.items()}
    return MeasuredCosts(prices, lambda: read_exposition(settings), gpus, lambda: stored_gb(settings))


def sticky_keys(config: MeshConfig) -> dict[str, str]:
    """The attribute that is the sticky key, of each endpoint that has one."""
    return {name: table.key for name, table in config.tables.items() if table.key is not None}
