"""Answers to Redis, at least once: one pipeline a batch, tried again until every command is acknowledged."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ingest.backoff import Backoff, unheard
from ingest.redis_link import RedisAddress, RedisError, RedisLink
from ingest.resp import Framer

logger = logging.getLogger(__name__)


class RedisSink:
    """Publishes over one connection, several batches in flight; reconnects by itself.

    A batch that fails in part is sent again as a whole: readers drop repeats by `inference_id`.
    """

    def __init__(
        self,
        address: RedisAddress,
        framer: Framer,
        backoff_s: float,
        max_backoff_s: float,
        on_retry: Callable[[str], None] = unheard,
    ) -> None:
        """`on_retry` is told the metric's reason whenever a batch has to be sent again."""
        self._address = address
        self._framer = framer
        self._backoffs = (backoff_s, max_backoff_s)
        self._on_retry = on_retry
        self._link: RedisLink | None = None
        self._connecting = asyncio.Lock()
        self._complained = ""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None and not self._link.lost.done()

    async def publish(self, model_id: str, answers: Sequence[bytes]) -> None:
        """See `Sink`."""
        if not answers:
            return
        commands = self._framer.frame(model_id, answers)
        replies = len(answers) * self._framer.commands_per_answer
        backoff = Backoff(*self._backoffs)
        while True:
            try:
                link = await self._connected()
                await link.send(commands, replies)
            except RedisError as error:
                self._complain(str(error))
                self._on_retry("redis")
                await asyncio.sleep(backoff.delay())
            else:
                self._recovered()
                return

    async def reach(self) -> None:
        """Returns once Redis has answered; says what is waited for until then."""
        backoff = Backoff(*self._backoffs)
        while True:
            try:
                await self._connected()
            except RedisError as error:
                self._complain(str(error))
                await asyncio.sleep(backoff.delay())
            else:
                self._recovered()
                return

    async def close(self) -> None:
        """See `Sink`."""
        if self._link is not None:
            self._link.close()
            await self._link.lost

    async def _connected(self) -> RedisLink:
        """The connection, made anew where it was lost: by one caller at a time."""
        async with self._connecting:
            if self._link is None or self._link.lost.done():
                self._link = await RedisLink.open(self._address)
            return self._link

    def _complain(self, reason: str) -> None:
        """Say what is waited for, once for each reason."""
        if reason != self._complained:
            self._complained = reason
            logger.warning(
                "waiting for Redis at %s: %s; answers are kept and sent again", self._address, reason
            )

    def _recovered(self) -> None:
        if self._complained:
            self._complained = ""
            logger.info("Redis at %s takes answers again", self._address)
