"""The way to Redis that everything of rollouts shares."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from mesh.stores.redis_client import bounded_client, store_guard

PREFIX: Final = "{hyperstream:rollouts}"
"""With a hash tag, so that a cluster keeps all of it on one node and scripts may touch several keys."""
ANSWER_S: Final = 3.0


def connected(url: str) -> Any:
    """See `bounded_client`."""
    return bounded_client(url, answer_s=ANSWER_S)


def guarded() -> AbstractAsyncContextManager[None]:
    """See `store_guard`."""
    return store_guard("the book of rollouts")
