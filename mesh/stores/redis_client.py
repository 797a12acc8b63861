"""The way to Redis that every store shares: bounded in connections and time, with one error for all that it does not do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mesh.errors import InvalidConfig, StoreAway
from mesh.security.redacted import url_reason

CONNECT_S: Final = 1.0


def bounded_client(url: str, *, answer_s: float, connections: int = 8) -> Any:
    """A client that connects at its first call, and again where a connection was lost.

    `url` is as in REDIS_URL. A call waits at most `answer_s` for one of `connections`, and as long for its answer. Raises
    `InvalidConfig` for a URL that is none. Untyped, because redis gives every reply all the types that there are.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=answer_s,
            socket_connect_timeout=min(CONNECT_S, answer_s),
            socket_timeout=answer_s,
            retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
        )
    except ValueError as error:
        raise InvalidConfig("environment", 0, "REDIS_URL", url_reason(url, error)) from None
    return Redis.from_pool(pool)


@asynccontextmanager
async def store_guard(store: str, seconds: float | None = None) -> AsyncIterator[None]:
    """Whatever Redis does not do, or not within so many seconds, is `StoreAway` of this store: the caller may try again."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreAway(store, f"Redis at REDIS_URL: {str(error) or type(error).__name__}") from error
