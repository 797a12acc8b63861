"""A rollout over a real engine, its replicas and the book of rules, in one process: Ray and Redis are memory here."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hosted import NODE, DeskHandle, FunctionModel, HostedReplica

from mesh.cluster.rollout_watch import RolloutWatch
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy, Silent
from mesh.rollouts.accepted_rules import BookRoutes
from mesh.rollouts.controller import Controller, World
from mesh.rollouts.desk import Desk
from mesh.rollouts.memory import (
    MemoryAliases,
    MemoryAudit,
    MemoryFeed,
    MemoryGuards,
    MemoryLease,
    MemoryRollouts,
)
from mesh.rollouts.plan import Plan
from mesh.rollouts.states import ENDED
from mesh.rollouts.tally import Observations
from mesh.routing.types import Batch
from mesh.rules.memory import memory_book
from mesh.spec import MeshConfig, load_rollout
from tests.fakes.waiting import eventually

NAMES = ("old", "good", "worse")
MODELS = "models:\n" + "".join(
    f"  {name}:\n    runtime: identity\n    outputs: [{{name: y, datatype: FP32, shape: [-1, 2]}}]\n"
    "    score: {output: y, column: 0}\n"
    for name in NAMES
)
ROUTING = "routes:\n  - {name: main, when: always, send: [old]}\nkey: asset\n"
ROLLOUT = """
primary: old
candidate: {candidate}
model: pump
alert: {{score_at_least: 0.9}}
window: 100ms
exclude: "criticality >= 3"
steps: [{{shadow: {{min_pairs: 200}}}}, {{canary: {{percent: 30, min_rows: 100}}}}, {{promote: {{keep_warm: 1h}}}}]
metrics:
  - {{name: alerts, test: alert_disagreement, margin: 0.05, direction: either, due: shadow}}
  - {{name: apart, test: discordance, margin: 0.1, due: shadow}}
  - {{name: errors, test: error_rate, margin: 0.05}}
"""


class FeedSink(MemoryFeed):
    """Gives the controller what engines tell."""

    async def write(self, plan: Plan, seen: Observations) -> None:
        del plan
        self.seen.append(seen)


class Mesh:
    """The whole of it, under traffic of fifty assets of which ten are critical."""

    def __init__(self, folder: Path) -> None:
        (folder / "models.yaml").write_text(MODELS)
        (folder / "routing.yaml").write_text(ROUTING)
        (folder / "rollouts").mkdir()
        for candidate in ("good", "worse"):
            (folder / "rollouts" / f"{candidate}.yaml").write_text(ROLLOUT.format(candidate=candidate))
        self._folder, self._book = folder, memory_book(folder)
        self._hosts = [HostedReplica(name, FunctionModel(function(name)), 0) for name in NAMES]
        self._handles = {host.name: DeskHandle([host]) for host in self._hosts}
        self.rollouts, self.audit, self._feed = MemoryRollouts(), MemoryAudit(), FeedSink()
        self.aliases = MemoryAliases({("pump", "champion"): "old"})
        self.routes = BookRoutes(self._book)
        self.desk = Desk(self.rollouts, self.rollouts, self.routes)
        self._watch = RolloutWatch(Silent(), self.rollouts, self._feed, tell_s=0.05)
        self.answered: Counter[tuple[str, bool]] = Counter()
        self.failed = 0
        self.rounds: Counter[int] = Counter()

    async def start(self) -> None:
        leases = [await host.start() for host in self._hosts]
        config = engine_config(self._book.config)
        self._engine = Engine(config, node=NODE, handles=self._handles, observer=self._watch)
        self._engine.update_replicas(leases)
        self._watch.start()
        world = World(
            self.rollouts, self.rollouts, self.routes, self.aliases, self.audit, MemoryGuards(), {"engines": self._feed}
        )  # fmt: skip
        controller = Controller(world, MemoryLease("one", []), period_s=0.05)
        work = (controller.run(), self._take(), self._ask(1), self._ask(2))
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watch.stop()
        await self._engine.close()
        for host in self._hosts:
            await host.stop()

    async def _take(self) -> None:
        """The engine takes every accepted change."""
        while True:
            await self._book.changed.wait()
            self._engine.adopt(engine_config(self._book.config), self._handles)

    async def _ask(self, seed: int) -> None:
        values = random.Random(seed)
        while True:
            assets = [values.randrange(50) for _ in range(8)]
            tensors = {"x": np.array([[values.random(), 0.0] for _ in assets], np.float32)}
            critical = [3 if asset < 10 else 1 for asset in assets]
            attributes = {"asset": [f"pump-{asset}" for asset in assets], "criticality": critical}
            answer = await self._engine.infer(
                "default", Batch(tensors, [f"r{n}" for n in range(8)], None, attributes)
            )
            self.failed += len(answer.failed)
            for row, origin in enumerate(answer.origin_of.tolist()):
                self.answered[answer.origins[origin].model, critical[row] == 3] += 1
            self.rounds[seed] += 1
            await asyncio.sleep(0.004)

    async def ends(self, name: str) -> str:
        """Start it and wait for its end."""
        await self.desk.start(load_rollout(self._folder / "rollouts", name, self._book.config), "ann")
        give_up = time.monotonic() + 90
        state = "Pending"
        while state not in ENDED and time.monotonic() < give_up:
            await asyncio.sleep(0.02)
            state = (await self.rollouts.get(name)).state
        return state

    async def _asked(self, rounds: int) -> None:
        """Each client has asked so many times more."""
        ends = {seed: done + rounds for seed, done in self.rounds.items()}
        await eventually(lambda: all(self.rounds[seed] >= end for seed, end in ends.items()))

    async def now(self) -> set[str]:
        """Who answers what is asked from now on."""
        await self._asked(2)  # what was under way is answered
        self.answered.clear()
        await self._asked(30)
        return {model for model, _ in self.answered}


def function(name: str):
    """`worse` learned from flipped labels."""
    return (lambda x: 1 - x) if name == "worse" else (lambda x: x)


def engine_config(config: MeshConfig) -> EngineConfig:
    return EngineConfig(config.tables, config.facts, dict.fromkeys(NAMES, ModelPolicy()), config.rules_hash)


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    made = Mesh(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_a_good_candidate_gets_all_rows_and_a_veto_outranks_the_canary(mesh: Mesh) -> None:
    canary: Counter[tuple[str, bool]] = Counter()

    async def watch() -> None:
        while (await mesh.desk.all()) == () or (await mesh.rollouts.get("good")).state != "Promoting":
            canary.update(mesh.answered)
            mesh.answered.clear()
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    assert await mesh.ends("good") == "Promoted"
    watching.cancel()
    assert canary["good", False] > 0
    assert canary["good", True] == 0  # critical assets never drew lots
    assert await mesh.now() == {"good"}
    assert mesh.aliases.known == {("pump", "champion"): "good"}
    assert [entry[0] for entry in mesh.audit.entries] == [
        f"rollout.{action}" for action in ("start", "shadow", "progress", "promote", "finish")
    ]
    assert mesh.failed == 0


async def test_a_worse_candidate_goes_back_and_says_why(mesh: Mesh) -> None:
    before = await mesh.routes.current()
    assert await mesh.ends("worse") == "RolledBack"
    rollout = await mesh.rollouts.get("worse")
    assert rollout.reason.split(":")[0] in ("alerts", "apart")
    assert (await mesh.routes.current()).document == before.document
    assert await mesh.now() == {"old"}
    times = {move.action: move.at_ms for move in rollout.history}
    assert times["rolled_back"] - times["fail"] < 10_000
    assert mesh.failed == 0
