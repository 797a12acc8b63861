"""Fixtures that several integration tests share."""

from collections.abc import Iterator

import pytest
from ray_mesh import RunningMesh, running_mesh


@pytest.fixture(scope="session")
def mesh_on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh
