"""The mesh on real Ray: status, both paths, the directory, and a replica that is killed."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
import ray
from ray import serve
from ray_mesh import RunningMesh, until, until_async

from mesh.cluster.actors import NAMESPACE
from mesh.cluster.connect import ConnectedEngine, connect_engine
from mesh.cluster.directory import NAME, watch_directory
from mesh.engine.replica import Replica
from mesh.routing.types import Answer, Batch
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_mesh

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def batch(rows: int = 1) -> Batch:
    values = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    return Batch({"x": values}, [f"row-{n}" for n in range(rows)])


@pytest.fixture
def config(mesh_on_ray: RunningMesh) -> MeshConfig:
    return load_mesh(mesh_on_ray.config_dir, Settings())


@pytest.fixture(params=["direct", "handle"])
async def engine(config: MeshConfig, request: pytest.FixtureRequest) -> AsyncIterator[ConnectedEngine]:
    connected = await connect_engine(config, replace(Settings(), data_path=request.param), "mesh")
    await until_async(lambda: connected.ready("echo") and connected.ready("slow"), 10)
    yield connected
    await connected.close()


async def test_answers_the_same_on_both_paths(engine: ConnectedEngine) -> None:
    sent = batch(5)
    answer = await engine.infer("slow", sent)
    assert not answer.failed
    np.testing.assert_array_equal(answer.outputs["doubled"], sent.tensors["x"] * 2)
    assert answer.origins[0].model == "slow"


async def test_a_large_answer_to_a_small_row_comes_through_on_both_paths(engine: ConnectedEngine) -> None:
    answer = await engine.infer("wide", batch())
    assert not answer.failed
    assert answer.outputs["wide"].shape == (1, 2_000_000)


async def test_a_large_row_comes_through_on_both_paths(engine: ConnectedEngine) -> None:
    answer = await engine.infer("echo", batch(200_000))
    assert not answer.failed
    assert answer.outputs["x"].shape == (200_000, 2)


def test_a_broken_artifact_shows_in_serves_status_and_the_others_serve(mesh_on_ray: RunningMesh) -> None:
    def status_of(name: str) -> tuple[str, str]:
        deployment = serve.status().applications["mesh"].deployments[name]
        return deployment.status.value, deployment.message

    until(lambda: status_of("broken")[0] == "DEPLOY_FAILED", 120)
    assert "not-there.onnx" in status_of("broken")[1]
    assert "ArtifactError" in status_of("broken")[1]
    for name in ("echo", "slow", "wide", "router"):
        assert status_of(name)[0] == "HEALTHY"


async def test_a_broken_model_fails_its_own_rows_quickly(config: MeshConfig) -> None:
    connected = await connect_engine(config, Settings(), "mesh")
    await asyncio.to_thread(
        until,
        lambda: serve.status().applications["mesh"].deployments["broken"].status.value == "DEPLOY_FAILED",
        120,
    )
    answer = await asyncio.wait_for(connected.infer("broken", batch()), 10)
    assert answer.failed[0].kind == "away"
    await connected.close()


async def test_the_directory_is_killed_and_nothing_that_was_known_is_lost(config: MeshConfig) -> None:
    seen: list[tuple[Replica, ...]] = []
    watcher = asyncio.ensure_future(watch_directory(seen.append))
    connected = await connect_engine(config, Settings(), "mesh")
    await until_async(lambda: connected.ready("echo") and bool(seen), 10)
    # What scales down while this runs, `elastic`, gives its lease back of its own will.
    known = {replica.replica_id for replica in seen[-1] if replica.model != "elastic"}
    ray.kill(ray.get_actor(NAME, namespace=NAMESPACE), no_restart=False)
    failed = 0
    for _ in range(60):
        answer: Answer = await connected.infer("echo", batch())
        failed += len(answer.failed)
        await asyncio.sleep(0.1)
    assert failed == 0
    await until_async(lambda: len(seen) > 1, 20)
    assert all(known <= {replica.replica_id for replica in replicas} for replicas in seen)
    watcher.cancel()
    await asyncio.gather(watcher, return_exceptions=True)
    await connected.close()


async def test_a_killed_replica_costs_no_answer_and_is_replaced(config: MeshConfig) -> None:
    connected = await connect_engine(config, Settings(), "mesh")
    await until_async(lambda: connected.ready("slow"), 10)
    first = await connected.infer("slow", batch())
    pid = int(first.outputs["pid"][0])
    calls = [asyncio.ensure_future(connected.infer("slow", batch())) for _ in range(20)]
    await asyncio.sleep(0.05)
    os.kill(pid, 9)
    answers = await asyncio.wait_for(asyncio.gather(*calls), 40)
    for answer in answers:
        assert not answer.failed
        np.testing.assert_array_equal(answer.outputs["doubled"], batch().tensors["x"] * 2)
    assert int(answers[-1].outputs["pid"][0]) != pid
    await connected.close()
