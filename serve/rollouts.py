"""Rollouts at work in a router: the API, and a controller of which one among all routers holds the lease.

A router, because it is there whenever there are rules to change, already speaks with the book of rules, and a look takes
milliseconds; a deployment of its own would cost a process for one task that sleeps.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import APIRouter

from mesh.cluster.scoreboard import read_summary
from mesh.errors import InvalidConfig, InvalidInput
from mesh.records.opened import Records
from mesh.records.room_audits import RoomAudit
from mesh.review.heard import HeardDecisions
from mesh.rollouts.accepted_rules import BookRoutes
from mesh.rollouts.controller import Controller, World
from mesh.rollouts.desk import Desk
from mesh.rollouts.plan import Plan
from mesh.rollouts.ports import Aliases
from mesh.rules import RuleBook
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_rollout, rollout_fits, rollout_names, rollouts_folder
from mesh.stores.rollouts import RedisFeed, RedisLease, RedisRollouts
from serve.api.rollouts import rollouts_router
from serve.drift import DriftNow
from serve.rollout_aliases import RegistryAliases
from serve.rollout_candidates import RegistryHosts, named
from serve.rollout_guards import every_guard
from serve.rollout_reviews import ReviewFeed


class FilePlans:
    """The plans of `config/rollouts`, read when they are asked for, and tried on the rules in force."""

    def __init__(
        self, folder: Path, config: Callable[[], MeshConfig], routes: BookRoutes, aliases: Aliases
    ) -> None:
        """`folder` holds the plans; `config` gives the models and rules in force, `aliases` the version that is challenger."""
        self._folder, self._config, self._routes, self._aliases = folder, config, routes, aliases

    async def names(self) -> Sequence[str]:
        """As `Plans.names`."""
        return await asyncio.to_thread(rollout_names, self._folder)

    async def plan(self, name: str) -> Plan:
        """As `Plans.plan`."""
        config = self._config()
        rules = await self._routes.current()
        try:
            plan = await named(
                await asyncio.to_thread(load_rollout, self._folder, name, config), self._aliases
            )
            await asyncio.to_thread(rollout_fits, plan, rules.document, config)
        except InvalidConfig as error:  # the file's mistake, which whoever asks can mend
            raise InvalidInput("name", str(error)) from None
        return plan


async def open_rollouts(
    folder: Path,
    settings: Settings,
    book: RuleBook,
    config: Callable[[], MeshConfig],
    records: Records,
    drift: DriftNow,
    owner: str,
    parts: AsyncExitStack,
) -> APIRouter:
    """Start this router's controller, which `parts` ends; the routes of the API. Moves and requests are logged in `records`."""
    rollouts, feed = RedisRollouts(settings.redis_url), RedisFeed(settings.redis_url)
    lease = RedisLease(settings.redis_url, owner)
    for store in (rollouts, feed, lease):
        parts.push_async_callback(store.close)
    routes, aliases = BookRoutes(book), RegistryAliases(folder, config)
    guards = every_guard(
        aliases.registry, config, drift, lambda: read_summary(settings), settings.prometheus_url
    )
    reviews = ReviewFeed(records.transactions, HeardDecisions(records.database))
    world = World(
        rollouts,
        rollouts,
        routes,
        aliases,
        RoomAudit(records.ledger),
        guards,
        {"engines": feed, "reviews": reviews},
    )
    task = asyncio.get_running_loop().create_task(Controller(world, lease).run())
    parts.push_async_callback(_ended, task)
    hosts = RegistryHosts(book, config, aliases.registry)
    plans = rollouts_folder(folder, settings)
    desk = Desk(rollouts, rollouts, routes, guards=guards, hosts=hosts)
    return rollouts_router(desk, FilePlans(plans, config, routes, aliases), records.ledger)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
