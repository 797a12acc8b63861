"""The way to Redis that everything of rollouts shares: bounded, and with `StoreAway` for whatever Redis does not do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mesh.errors import InvalidConfig, StoreAway

PREFIX: Final = "{hyperstream:rollouts}"
"""With a hash tag, so that a cluster keeps all of it on one node and scripts may touch several keys."""
CONNECT_S: Final = 1.0
ANSWER_S: Final = 3.0
CONNECTIONS: Final = 8


def connected(url: str) -> Any:
    """A client that connects at its first call. `InvalidConfig` for a URL that is none.

    Untyped, because redis gives every reply all the types that there are.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=ANSWER_S,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
        )
    except ValueError as error:
        raise InvalidConfig("environment", 0, "REDIS_URL", str(error)) from None
    return Redis.from_pool(pool)


@asynccontextmanager
async def guarded() -> AsyncIterator[None]:
    """Whatever Redis does not do is `StoreAway`: the caller may try again."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreAway(
            "the book of rollouts", f"Redis at REDIS_URL: {error or type(error).__name__}"
        ) from error
