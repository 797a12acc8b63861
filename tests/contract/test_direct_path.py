"""What is particular to the direct path: choice of replica, death of one, draining, and the handle when there is none."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hosted import HostedReplica
from test_data_path import Mesh, batch

from tests.fakes.waiting import eventually


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    made = Mesh(direct=True)
    yield made
    await made.stop()


async def second(mesh: Mesh, node: str = "node-1") -> HostedReplica:
    """One more replica of `m`, known to the engine."""
    host = HostedReplica("m", mesh.models["m"], len(mesh.hosts["m"]))
    mesh.hosts["m"].append(host)
    await host.start(node)
    mesh.engine.update_replicas([h.lease for hosts in mesh.hosts.values() for h in hosts if h.lease])
    await eventually(lambda: host.listener.connections > 0)
    return host


async def test_calls_take_the_link_and_not_the_handle(mesh):
    engine = await mesh.start()
    for _ in range(5):
        await engine.infer("m", batch((1, 2)))
    assert mesh.handles["m"].calls == 0


async def test_without_a_known_replica_the_handle_answers(mesh):
    engine = await mesh.start()
    engine.update_replicas([])
    answer = await engine.infer("m", batch((1, 2)))
    assert answer.outputs["y"].tolist() == [[2, 3]]
    assert mesh.handles["m"].calls == 1


async def test_a_replica_that_dies_in_mid_call_costs_no_answer(mesh):
    engine = await mesh.start()
    host = await second(mesh)
    mesh.models["m"].gate.clear()
    tasks = [asyncio.create_task(engine.infer("m", batch((n, 0)))) for n in range(8)]
    await eventually(lambda: mesh.hosts["m"][0].taken or host.taken)
    await mesh.hosts["m"][0].listener.close()
    mesh.models["m"].gate.set()
    answers = await asyncio.gather(*tasks)
    assert [a.outputs["y"][0, 0] for a in answers] == [n + 1 for n in range(8)]
    assert all(not a.failed for a in answers)
    assert host.listener.connections == 1


async def test_the_last_replica_dies_and_the_handle_takes_over(mesh):
    engine = await mesh.start()
    await engine.infer("m", batch((1, 2)))
    mesh.models["m"].gate.clear()
    task = asyncio.create_task(engine.infer("m", batch((5, 0))))
    await eventually(lambda: mesh.hosts["m"][0].taken == 2)
    await mesh.hosts["m"][0].listener.close()
    mesh.models["m"].gate.set()
    answer = await task
    assert answer.outputs["y"][0, 0] == 6
    assert mesh.handles["m"].calls == 1


async def test_a_draining_replica_gets_no_new_calls_and_finishes_its_own(mesh):
    engine = await mesh.start()
    other = await second(mesh)
    mesh.models["m"].seconds = 0.1
    tasks = [asyncio.create_task(engine.infer("m", batch((n, 0)))) for n in range(4)]
    await asyncio.sleep(0.02)
    await mesh.hosts["m"][0].listener.drain(20.0)
    answers = [*await asyncio.gather(*tasks), *[await engine.infer("m", batch((n, 0))) for n in (4, 5)]]
    assert [a.outputs["y"][0, 0] for a in answers] == [1, 2, 3, 4, 5, 6]
    assert mesh.handles["m"].calls == 0
    assert other.listener.connections == 1


async def test_the_same_node_comes_first_and_the_other_takes_what_is_too_much(mesh):
    engine = await mesh.start()
    far = await second(mesh, "node-2")
    for _ in range(6):
        await engine.infer("m", batch((1, 2)))
    assert far.taken == 0
    mesh.models["m"].gate.clear()
    tasks = []
    for calls in range(7, 11):  # two calls fill the near one
        tasks.append(asyncio.create_task(engine.infer("m", batch((1, 2)))))
        await eventually(lambda calls=calls: mesh.hosts["m"][0].taken + far.taken == calls)
    mesh.models["m"].gate.set()
    await asyncio.gather(*tasks)
    assert far.taken == 2
