"""Trainings on Ray, and the loop that begins them."""

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mesh.cli import environment, interrupts
from mesh.cli.api import ApiFailed
from mesh.cli.learn import tell
from mesh.cli.local_ray import local_ray
from mesh.cli.rollout_client import RolloutClient
from mesh.errors import MeshError, StoreAway
from mesh.learning.bench import Bench
from mesh.learning.learn import Learned
from mesh.learning.opened import open_bench
from mesh.learning.proposals import alerted, overridden
from mesh.learning.ray_job import Job, Kind, run_on_ray
from mesh.learning.schedule import Due, Proposal, due
from mesh.learning.since import last_training, update_due
from mesh.spec import load_learning
from mesh.stores.alerts import RedisAlerts


def on_ray(kind: Kind, config: Path, actor: str, now_ms: int, address: str) -> Learned:
    """One training or update as a task of the cluster at `address`; `local` is one of its own."""
    policy = load_learning(config).schedule
    with local_ray(None if address == "local" else address):
        return run_on_ray(Job(kind, str(config.resolve()), actor, now_ms, policy.nice), policy)


def follow(
    config: Path, actor: str, address: str, every_s: float, rollouts: RolloutClient, *, once: bool
) -> None:
    """Look every so often whether something is due, and do it. A work that fails is told, and waits for its next time.

    A new challenger is rolled out where learning.yaml says by which plan.
    """
    stop, console = threading.Event(), Console(stderr=True)
    policy = load_learning(config).schedule
    with local_ray(None if address == "local" else address):
        interrupts.call_once(stop.set)  # after Ray, which takes SIGTERM for itself
        failed: dict[str, int] = {}
        while not stop.is_set():
            now = int(time.time() * 1e3)
            bench = open_bench(config)
            found = _due(bench, now, failed, console)
            if found is not None:
                console.print(f"{found.work}: {found.reason}", highlight=False)
                job = Job(found.work, str(config.resolve()), actor, now, policy.nice)
                try:
                    learned = run_on_ray(job, policy, stop.is_set)
                    tell(console, found.work, learned)
                    if learned.challenger and policy.rollout is not None:
                        _roll_out(policy.rollout, actor, rollouts, console)
                except MeshError as error:
                    console.print(f"the {found.work} failed: {error}", highlight=False, markup=False)
                failed[found.work] = now
            if once:
                return
            stop.wait(every_s)


def _roll_out(plan: str, actor: str, rollouts: RolloutClient, console: Console) -> None:
    try:
        _, started = rollouts.start(plan, actor)
    except ApiFailed as error:
        again = f"`hyperstream rollout start {plan}` tries again"
        console.print(f"rollout {plan} was not started: {error}; {again}", highlight=False, markup=False)
        return
    console.print(f"rollout {plan}: {started.candidate} for {started.primary}", highlight=False, markup=False)


def _due(bench: Bench, now: int, tried: dict[str, int], console: Console) -> Due | None:
    """What is due, unless the same was tried less than `least_gap_ms` ago: also what a gate stopped was a try."""
    policy = bench.plan.schedule
    last = last_training(bench)
    proposals = _proposals(bench, last or 0, now, console)
    found = due(policy, now, last, proposals, update_due(bench, now))
    if found is not None and now - tried.get(found.work, -(1 << 62)) < policy.least_gap_ms:
        return None
    return found


def _proposals(bench: Bench, since: int, now: int, console: Console) -> Sequence[Proposal]:
    begin = now - bench.plan.replay.days * 86_400_000
    ours = [one for one in overridden(bench.labels.decided(begin, now), bench.plan.drift) if one.at > since]
    try:
        return sorted([*asyncio.run(_alerts(since)), *ours], key=lambda one: one.at)
    except StoreAway as error:
        console.print(f"drift alerts cannot be read: {error}", highlight=False, markup=False)
        return ours


async def _alerts(since: int) -> list[Proposal]:
    store = RedisAlerts(environment.settings().redis_url)
    try:
        return await alerted(store, since)
    finally:
        await store.close()
