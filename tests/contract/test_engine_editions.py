"""An engine takes other tables and models while it answers: no row is lost, and each answer is of one table."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hosted import NODE, DeskHandle, FunctionModel, HostedReplica

from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy, Silent
from mesh.errors import NotFound
from mesh.routing.facts import LabelRule, ModelFacts
from mesh.routing.table import Route, RouteTable, ShadowRule, Split
from mesh.routing.types import MISSING, Batch
from mesh.routing.when import compile_when
from tests.fakes.waiting import eventually

NAMES = ("one", "two", "late")


class Watched(Silent):
    """Keeps what shadows said."""

    def __init__(self) -> None:
        self.compared: list[Compared] = []
        self.missed: list[tuple[str, object]] = []

    def shadowed(self, model: str, outcome: str, rows: int, what: Compared | ShadowKey | None) -> None:
        if isinstance(what, Compared):
            self.compared.append(what)
        else:
            self.missed.append((outcome, what))


class Mesh:
    """An engine over hosted replicas; model n answers x + n."""

    def __init__(self) -> None:
        self.models = {name: FunctionModel() for name in NAMES}
        for number, model in enumerate(self.models.values()):
            model.function = lambda x, add=number: x + add
        self.hosts = {name: HostedReplica(name, model, 0) for name, model in self.models.items()}
        self.handles = {name: DeskHandle([host]) for name, host in self.hosts.items()}
        self.seen = Watched()

    def config(self, route: Route, models: tuple[str, ...] = ("one", "two"), **policy: float) -> EngineConfig:
        facts = {
            name: ModelFacts(name, score=("y", 0), label=LabelRule("y", "threshold", (), 0.5))
            for name in models
        }
        policies = dict.fromkeys(models, ModelPolicy(**policy))  # type: ignore[arg-type]
        table = RouteTable("default", (route,))
        return EngineConfig({"default": table}, facts, policies, f"all-{table.rules_hash}")

    async def start(self, config: EngineConfig) -> Engine:
        leases = [await host.start() for host in self.hosts.values()]
        self.engine = Engine(config, node=NODE, handles=self.handles, observer=self.seen)
        self.engine.update_replicas(leases)
        return self.engine

    async def stop(self) -> None:
        await self.engine.close()
        for host in self.hosts.values():
            await host.stop()


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    made = Mesh()
    yield made
    await made.stop()


def route(name: str, *send: str, when: str = "always", **more: object) -> Route:
    return Route(name, compile_when(when), send=send, **more)  # type: ignore[arg-type]


def batch(key: str = "k", rows: int = 1, **attributes: object) -> Batch:
    columns = {name: [value] * rows for name, value in attributes.items()}
    return Batch({"x": np.zeros((rows, 2), np.float32)}, [f"{key}-{n}" for n in range(rows)], None, columns)


async def test_answers_under_way_finish_by_the_table_they_began_with(mesh):
    configs = [mesh.config(route(f"r{n}", ("one", "two")[n % 2])) for n in range(30)]
    hashes = {config.tables["default"].rules_hash: n for n, config in enumerate(configs)}
    engine = await mesh.start(configs[0])
    stop = asyncio.Event()
    seen = []

    async def ask() -> None:
        while not stop.is_set():
            seen.append(await engine.infer("default", batch()))

    clients = [asyncio.create_task(ask()) for _ in range(8)]
    for before, config in enumerate(configs[1:]):
        newest = configs[before].tables["default"].rules_hash
        await eventually(lambda newest=newest: any(answer.rules == newest for answer in seen[-20:]))
        engine.adopt(config, mesh.handles)
    stop.set()
    await asyncio.gather(*clients)
    assert len({answer.rules for answer in seen}) > 20
    for answer in seen:
        number = hashes[answer.rules]
        assert not answer.failed
        assert answer.origins[0].route == f"r{number}"
        assert answer.outputs["y"][0, 0] == number % 2  # by the model that this very table names


async def test_a_model_that_comes_and_goes_loses_no_row(mesh):
    first = mesh.config(route("old", "one"), timeout_s=5.0)
    engine = await mesh.start(first)
    mesh.models["one"].seconds = 0.2
    slow = asyncio.create_task(engine.infer("default", batch()))
    await asyncio.sleep(0.05)
    engine.adopt(mesh.config(route("new", "late"), ("late",), timeout_s=5.0), mesh.handles)
    answer = await engine.infer("default", batch())
    assert (answer.origins[0].model, answer.outputs["y"][0, 0]) == ("late", 2)
    assert (await slow).origins[0].model == "one"
    assert engine.endpoints == ("default", "late")
    with pytest.raises(NotFound):
        await engine.infer("one", batch())
    await eventually(lambda: not engine._tasks)


async def test_a_batch_that_lacks_what_new_rules_read_is_answered_by_those_it_was_read_for(mesh):
    old = mesh.config(route("old", "one"))
    engine = await mesh.start(old)
    read_before = batch()
    new = mesh.config(route("new", "two", when="rollout == true || rollout != true"))
    engine.adopt(new, mesh.handles)
    assert (await engine.infer("default", read_before)).rules == old.tables["default"].rules_hash
    read_after = batch(rollout=MISSING)
    assert engine.attributes_read("default") == {"rollout"}
    assert (await engine.infer("default", read_after)).rules == new.tables["default"].rules_hash


async def test_a_split_shares_rows_by_their_keys_and_holds_over_a_change(mesh):
    split = Route("ab", compile_when("always"), split=Split((("one", 80.0), ("two", 20.0))))
    engine = await mesh.start(mesh.config(split))
    first = await engine.infer("default", batch("user", 2_000))
    share = np.mean([first.origins[at].model == "two" for at in first.origin_of])
    assert 0.17 < share < 0.23
    engine.adopt(mesh.config(split, max_batch_rows=100), mesh.handles)
    again = await engine.infer("default", batch("user", 2_000))
    assert [again.origins[at].model for at in again.origin_of] == [
        first.origins[at].model for at in first.origin_of
    ]


async def test_a_shadow_is_told_of_with_keys_scores_and_times(mesh):
    mesh.models["two"].seconds = 0.05
    engine = await mesh.start(mesh.config(route("r", "one", shadow=(ShadowRule("two"),))))
    began = time.monotonic()
    await engine.infer("default", batch("pump", 2))
    took = time.monotonic() - began
    await eventually(lambda: mesh.seen.compared)
    (what,) = mesh.seen.compared
    assert what.key == ShadowKey("default", "r", "one", "two")
    assert what.ids == ["pump-0", "pump-1"]
    assert what.labels == ([0.0, 0.0], [1.0, 1.0])
    assert (what.scores[1] - what.scores[0]).tolist() == [1, 1]
    assert what.disagree.tolist() == [True, True]
    assert what.shadow_seconds > 0.05
    assert took > what.primary_seconds > 0
    assert what.shadow_version == "1"
