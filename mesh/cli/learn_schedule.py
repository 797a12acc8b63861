"""Trainings on Ray, and the loop that begins them."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from mesh.cli import environment, interrupts
from mesh.cli.api import ApiFailed
from mesh.cli.learn import tell
from mesh.cli.local_ray import local_ray
from mesh.cli.rollout_client import RolloutClient
from mesh.errors import MeshError, StoreAway
from mesh.learning.bench import Bench
from mesh.learning.learn import NEVER, Learned
from mesh.learning.opened import open_bench
from mesh.learning.plan import DAY_MS, SchedulePolicy
from mesh.learning.proposals import alerted, overridden
from mesh.learning.ray_job import Job, Kind, Stopped, run_on_ray
from mesh.learning.schedule import WORKS, Due, Proposal, Work, due
from mesh.learning.since import last_training, update_due
from mesh.spec import load_learning
from mesh.stores.alerts import RedisAlerts
from mesh.stores.errors import StoreFailed


def on_ray(kind: Kind, config: Path, actor: str, now_ms: int, address: str) -> Learned:
    """One training or update as a task of the cluster at `address`; `local` is one of its own."""
    policy = load_learning(config).schedule
    with local_ray(None if address == "local" else address):
        return run_on_ray(Job(kind, str(config.resolve()), actor, now_ms, policy.nice), policy)


def follow(
    config: Path, actor: str, address: str, every_s: float, rollouts: RolloutClient, *, once: bool
) -> None:
    """Look every so often whether something is due, and do it, until a signal ends it.

    A new challenger is rolled out where learning.yaml says by which plan. Raises `InvalidConfig` and the like where the files
    are wrong at the start, and with `once` also what `Schedule.look` raises.
    """
    stop, console = threading.Event(), Console(stderr=True)
    # What is wrong now, somebody waits to read; what is wrong later may be half of an edit.
    with suppress(StoreFailed), open_bench(config):  # the first look says what is away
        pass
    with local_ray(None if address == "local" else address):
        interrupts.call_once(stop.set)  # after Ray, which takes SIGTERM for itself
        schedule = Schedule(config, actor, rollouts, console, stop.is_set)
        if once:
            schedule.look()
            return
        while not stop.is_set():
            schedule.look_again()
            stop.wait(every_s)


class Schedule:
    """Looks whether something is due, and does it. What it tried is in the registry too, so that a restart forgets none."""

    def __init__(
        self,
        config: Path,
        actor: str,
        rollouts: RolloutClient,
        console: Console,
        stopped: Callable[[], bool],
    ) -> None:
        """`stopped` is asked while a work goes on, which ends once it says yes."""
        self._config, self._actor, self._rollouts = config, actor, rollouts
        self._console, self._stopped = console, stopped
        self._tried: dict[Work, int] = {}
        self._away: type[MeshError] | None = None
        self._deaf = False

    def look(self) -> None:
        """Do what is due now. A work that fails is told, and waits for its next time.

        Raises `StoreAway` and `StorageFailed` where labels or registry are away, and what `open_bench` raises.
        """
        with open_bench(self._config) as bench:
            self._look(bench)

    def _look(self, bench: Bench) -> None:
        found = self._due(bench)
        if found is None:
            return
        self._say(f"{found.work}: {found.reason}")
        try:
            self._do(found.work, bench.plan.schedule)
        except Stopped as error:  # it was no try: the next process takes it up
            self._say(str(error))
            return
        except MeshError as error:
            self._say(f"the {found.work} failed: {error}")
        # The gap is from its end: one that runs until its timeout would else be due again at once, before all others.
        self._tried[found.work] = clock_ms()
        bench.registry.tried(bench.plan.model, found.work, self._tried[found.work])

    def look_again(self) -> None:
        """As `look`, but what is away is said, once until it answers, and asked again at the next look."""
        try:
            self.look()
        except MeshError as error:
            if type(error) is not self._away:
                self._say(f"what is due cannot be told: {error}; it is asked again at the next look")
            self._away = type(error)
            return
        if self._away is not None:
            self._say("what was away answers again")
        self._away = None

    def _do(self, work: Work, policy: SchedulePolicy) -> None:
        job = Job(work, str(self._config.resolve()), self._actor, clock_ms(), policy.nice)
        learned = run_on_ray(job, policy, self._stopped)
        tell(self._console, work, learned)
        if learned.challenger and policy.rollout is not None:
            self._roll_out(policy.rollout)

    def _roll_out(self, plan: str) -> None:
        try:
            _, started = self._rollouts.start(plan, self._actor)
        except ApiFailed as error:
            again = f"`hyperstream rollout start {plan}` tries again"
            self._say(f"rollout {plan} was not started: {error}; {again}")
            return
        self._say(f"rollout {plan}: {started.candidate} for {started.primary}")

    def _due(self, bench: Bench) -> Due | None:
        now, last = clock_ms(), last_training(bench)
        noted = bench.registry.tries(bench.plan.model)
        known = {work: max(noted.get(work, NEVER), self._tried.get(work, NEVER)) for work in WORKS}
        proposals = self._proposals(bench, last or 0, now)
        return due(bench.plan.schedule, now, last, proposals, update_due(bench, now), known)

    def _proposals(self, bench: Bench, since: int, now: int) -> Sequence[Proposal]:
        begin = now - bench.plan.replay.days * DAY_MS
        labels = bench.labels.decided(begin, now)
        ours = [one for one in overridden(labels, bench.plan.drift) if one.at > since]
        try:
            theirs = asyncio.run(_alerts(since))
        except StoreAway as error:
            if not self._deaf:
                self._say(f"drift alerts cannot be read: {error}")
            self._deaf = True
            return ours
        self._deaf = False
        return sorted([*theirs, *ours], key=lambda one: one.at)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def clock_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1e3)


async def _alerts(since: int) -> list[Proposal]:
    store = RedisAlerts(environment.settings().redis_url)
    try:
        return await alerted(store, since)
    finally:
        await store.close()
