"""What an engine promises, over both data paths: the direct one and the handle."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hosted import NODE, DeskHandle, FunctionModel, HostedReplica

from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy
from mesh.errors import DeadlineExceeded, NotFound, Overloaded
from mesh.routing.facts import ModelFacts
from mesh.routing.table import Canary, Route, RouteTable, ShadowRule
from mesh.routing.types import Batch
from mesh.routing.when import compile_when
from tests.fakes.waiting import eventually

DESIGN_ROUTES = (
    Route("baseline", compile_when("always"), send=("rules",)),
    Route(
        "hybrid-anomaly",
        compile_when("confidence >= 0.6"),
        send=("anomaly",),
        shadow=(ShadowRule("degrader"),),
    ),
    Route("canary-rollout", compile_when("rollout == true"), canary=Canary("anomaly", 10)),
)
NAMES = ("rules", "anomaly", "degrader", "m")


class Mesh:
    """An engine over hosted replicas."""

    def __init__(self, *, direct: bool) -> None:
        self.models = {name: FunctionModel() for name in NAMES}
        self.models["anomaly"].function = lambda x: x * 10
        self.hosts = {name: [HostedReplica(name, model, 0)] for name, model in self.models.items()}
        self.handles = {name: DeskHandle(hosts) for name, hosts in self.hosts.items()}
        self.direct = direct
        self.seen: list[tuple[str, str, int]] = []

    async def start(self, **policy: float) -> Engine:
        table = RouteTable("default", DESIGN_ROUTES)
        config = EngineConfig(
            {"default": table},
            {name: ModelFacts(name, has_confidence=True) for name in NAMES},
            dict.fromkeys(NAMES, ModelPolicy(**policy)),  # type: ignore[arg-type]
            "hash",
            max_pending_rows=100,
        )
        leases = [await host.start() for hosts in self.hosts.values() for host in hosts]
        self.engine = Engine(config, node=NODE, handles=self.handles, observer=self, direct=self.direct)
        self.engine.update_replicas(leases)
        return self.engine

    def answered(self, endpoint: str, answer: object, seconds: float) -> None:
        pass

    def called(self, model: str, version: str, outcome: str, rows: int, seconds: float) -> None:
        self.seen.append((model, outcome, rows))

    def shadowed(self, model: str, outcome: str, rows: int, comparison: object) -> None:
        self.seen.append((f"shadow {model}", outcome, rows))

    async def stop(self) -> None:
        for model in self.models.values():
            model.gate.set()
        await self.engine.close()
        for hosts in self.hosts.values():
            for host in hosts:
                await host.stop()


@pytest.fixture(params=["direct", "handle"])
async def mesh(request: pytest.FixtureRequest) -> AsyncIterator[Mesh]:
    made = Mesh(direct=request.param == "direct")
    yield made
    await made.stop()


def batch(*rows: tuple[float, float], rollout: bool = False, key: str = "k") -> Batch:
    ids = [f"{key}-{n}" for n in range(len(rows))]
    return Batch({"x": np.array(rows, np.float32)}, ids, None, {"rollout": [rollout] * len(rows)})


async def test_a_hosted_model_answers_under_its_own_name(mesh):
    engine = await mesh.start()
    answer = await engine.infer("m", batch((1, 2), (3, 4)))
    assert answer.outputs["y"].tolist() == [[2, 3], [4, 5]]
    assert answer.confidence.tolist() == [1, 3]
    assert [(o.model, o.version, o.route, o.role) for o in answer.origins] == [("m", "1", "m", "primary")]
    assert answer.origin_of.tolist() == [0, 0]
    assert not answer.failed
    assert answer.rules == "hash"


async def test_many_callers_get_their_own_rows_back(mesh):
    engine = await mesh.start()
    answers = await asyncio.gather(*(engine.infer("m", batch((n, n + 0.5))) for n in range(90)))
    assert [a.outputs["y"].tolist() for a in answers] == [[[n + 1, n + 1.5]] for n in range(90)]
    assert sum(mesh.models["m"].calls) == 90
    assert len(mesh.models["m"].calls) < 90  # they were joined


async def test_rows_cascade_alone_and_together(mesh):
    engine = await mesh.start()
    low, high = (0.3, 1), (0.9, 1)
    alone = [await engine.infer("default", batch(row)) for row in (low, high)]
    assert [a.origins[a.origin_of[0]].model for a in alone] == ["rules", "anomaly"]
    both = await engine.infer("default", batch(low, high, low))
    assert [both.origins[i].model for i in both.origin_of] == ["rules", "anomaly", "rules"]
    assert both.outputs["y"].tolist() == np.array([[1.3, 2], [9, 10], [1.3, 2]], np.float32).tolist()
    together = await asyncio.gather(
        *(engine.infer("default", batch(row, key=str(n))) for n, row in enumerate([low, high] * 20))
    )
    assert [a.origins[a.origin_of[0]].model for a in together] == ["rules", "anomaly"] * 20
    await eventually(
        lambda: (
            sum(
                rows
                for what, outcome, rows in mesh.seen
                if (what, outcome) == ("shadow degrader", "compared")
            )
            == 22
        )
    )


async def test_a_model_that_raises_fails_its_rows_and_the_answer_so_far_stands(mesh):
    engine = await mesh.start()
    mesh.models["anomaly"].fails = True
    answer = await engine.infer("default", batch((0.9, 1)))
    assert answer.origins[answer.origin_of[0]].model == "rules"
    assert answer.degraded.tolist() == [True]
    mesh.models["rules"].fails = True
    answer = await engine.infer("default", batch((0.9, 1)))
    assert (answer.failed[0].model, answer.failed[0].kind) == ("rules", "raised")
    assert "told to fail" in answer.failed[0].reason


async def test_a_caller_that_leaves_in_flight_disturbs_nobody(mesh):
    engine = await mesh.start()
    mesh.models["m"].gate.clear()
    tasks = [asyncio.create_task(engine.infer("m", batch((n, 0)))) for n in range(20)]
    await eventually(lambda: mesh.models["m"].calls)
    for task in tasks[::2]:
        task.cancel()
    mesh.models["m"].gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert [r.outputs["y"][0, 0] for r in results[1::2]] == [n + 1 for n in range(1, 20, 2)]
    assert engine.rows_waiting == 0


async def test_cohort_members_may_leave_too(mesh):
    engine = await mesh.start()
    mesh.models["rules"].gate.clear()
    tasks = [asyncio.create_task(engine.infer("default", batch((0.1, n)))) for n in range(6)]
    await eventually(lambda: mesh.models["rules"].calls)
    tasks[0].cancel()
    mesh.models["rules"].gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [r.outputs["y"][0, 1] for r in results[1:]] == [n + 1 for n in range(1, 6)]


async def test_time_that_runs_out_leaves_the_answer_so_far_marked_degraded(mesh):
    engine = await mesh.start()
    await engine.infer("default", batch((0.9, 1)))
    mesh.models["anomaly"].gate.clear()  # it would keep whoever waited for it
    within_s = 1.0  # in which a busy machine asks the model before it
    began = time.monotonic()
    answer = await engine.infer("default", batch((0.9, 1)), deadline=time.monotonic() + within_s)
    assert time.monotonic() - began < within_s + 0.3
    assert answer.origins[answer.origin_of[0]].model == "rules"
    assert answer.degraded.tolist() == [True]
    with pytest.raises(DeadlineExceeded):
        await engine.infer("default", batch((0.9, 1)), deadline=time.monotonic() - 1)


async def test_a_hung_shadow_slows_no_primary_and_what_it_cannot_take_is_counted(mesh):
    engine = await mesh.start()
    mesh.models["degrader"].gate.clear()
    async with asyncio.timeout(25):  # as long as it hangs: its own time of 30 s is not over
        for _ in range(40):
            await engine.infer("default", batch((0.9, 1)))
    assert len(mesh.models["degrader"].calls) <= 1


async def test_unknown_endpoints_and_too_much_waiting_are_refused_early(mesh):
    engine = await mesh.start()
    with pytest.raises(NotFound, match="default, rules, anomaly, degrader, m"):
        await engine.infer("nobody", batch((1, 2)))
    mesh.models["m"].seconds = 0.1
    tasks = [asyncio.create_task(engine.infer("m", batch(*[(1, 2)] * 60))) for _ in range(3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [r for r in results if isinstance(r, Overloaded)]
    assert len(refused) == 2
    assert refused[0].retry_after_s > 0


async def test_a_model_that_hangs_is_given_up_and_its_breaker_opens(mesh):
    engine = await mesh.start(timeout_s=0.05)
    mesh.models["m"].seconds = 0.3
    answers = [await engine.infer("m", batch((1, 2))) for _ in range(12)]
    assert {a.failed[0].kind for a in answers} == {"deadline", "away"}
    assert "breaker" in answers[-1].failed[0].reason
    assert answers[-1].failed[0].retry_after_s
