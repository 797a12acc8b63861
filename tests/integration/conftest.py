"""Fixtures that several integration tests share."""

from collections.abc import Iterator

import pytest
from ray_mesh import RunningMesh, running_mesh
from stream_servers import RealKafka, RealRedis

KAFKA_PORT, REDIS_PORT = 21410, 21420


@pytest.fixture(scope="session")
def mesh_on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A broker of the module's own."""
    server = RealKafka(tmp_path_factory.mktemp("kafka") / "cluster", KAFKA_PORT)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRedis]:
    """A Redis of the module's own."""
    server = RealRedis(tmp_path_factory.mktemp("redis"), REDIS_PORT)
    server.start()
    yield server
    server.kill()
