"""Autoscaling on real Ray, with the load on the direct path only."""

import asyncio

import numpy as np
import pytest
from ray import serve
from ray_mesh import RunningMesh, until_async

from mesh.cluster.connect import connect_engine
from mesh.routing.types import Batch
from mesh.settings import Settings
from mesh.spec import load_mesh

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def replicas() -> int:
    """Replicas in any state: starting, running, stopping."""
    return sum(serve.status().applications["mesh"].deployments["elastic"].replica_states.values())


async def test_load_adds_replicas_idleness_takes_them_and_a_request_wakes_one(
    mesh_on_ray: RunningMesh,
) -> None:
    engine = await connect_engine(load_mesh(mesh_on_ray.config_dir, Settings()), Settings(), "mesh")
    row = Batch({"x": np.ones((1, 2), np.float32)}, ["a"])
    await until_async(lambda: replicas() == 0 and not engine.replicas_of("elastic"), 120)

    answer = await asyncio.wait_for(engine.infer("elastic", row), 120)
    assert not answer.failed
    np.testing.assert_array_equal(answer.outputs["doubled"], [[2, 2]])
    await until_async(lambda: len(engine.replicas_of("elastic")) == 1, 60)

    wanted = 12

    async def client(number: int) -> int:
        failed = 0
        while number < wanted:
            failed += len((await engine.infer("elastic", row)).failed)
        return failed

    clients = [asyncio.ensure_future(client(number)) for number in range(wanted)]
    await until_async(lambda: len(engine.replicas_of("elastic")) == 3, 120)
    wanted = 1  # one goes on while replicas are taken away: draining must cost it nothing
    await until_async(lambda: len(engine.replicas_of("elastic")) == 1, 120)
    wanted = 0
    assert sum(await asyncio.gather(*clients)) == 0
    await until_async(lambda: replicas() == 0 and not engine.replicas_of("elastic"), 120)
    await engine.close()
