"""Ray for one command."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from mesh.errors import MeshError


@contextmanager
def local_ray(address: str | None) -> Iterator[None]:
    """Join the cluster at `address`, or start one on this machine; it ends with the block. `MeshError` where there is none."""
    try:
        ray.init(
            address=address or "local", include_dashboard=None if address else False, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
    except (RayError, ConnectionError, ValueError) as error:
        raise MeshError(f"no Ray at {address or 'this machine'}: {error}; look at --address") from None
    try:
        yield
    finally:
        ray.shutdown()
