"""Dead letters to Kafka: the record untouched, and in its headers what went wrong, where.

Both header families that third-party viewers read are written: Kafka Connect's `__connect.errors.*` (KIP-298) and
Kafka Streams' `__streams.errors.*` (KIP-1034). Stack traces are left out: they can carry values.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError

from ingest.backoff import Backoff, unheard
from ingest.kafka_client import Setting
from ingest.kafka_deliveries import Deliveries
from ingest.record import Headers
from ingest.sink import DeadLetter

logger = logging.getLogger(__name__)

CONNECTOR: Final = "hyperstream-ingest"
_FULL_S: Final = 0.005
_OMITTED: Final = "__hyperstream.errors.value.omitted.bytes"
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)


def error_headers(letter: DeadLetter) -> Headers:
    """The letter's own headers, then the two families; values are text."""
    place = (("topic", letter.topic), ("partition", str(letter.partition)), ("offset", str(letter.offset)))
    connect = (
        *place,
        ("connector.name", CONNECTOR),
        ("task.id", str(letter.partition)),
        ("stage", letter.stage),
        ("class.name", "ingest.worker"),
        ("exception.class.name", letter.error_class),
        ("exception.message", letter.message),
    )
    streams = (("exception", letter.error_class), ("message", letter.message), *place)
    return [
        *letter.headers,
        *((f"__connect.errors.{name}", value.encode()) for name, value in connect),
        *((f"__streams.errors.{name}", value.encode()) for name, value in streams),
    ]


class KafkaDeadLetters:
    """Sends letters to `<topic><suffix>` with acks=all. Lives on one event loop."""

    def __init__(
        self,
        client: Mapping[str, Setting],
        suffix: str,
        backoff_s: float,
        max_backoff_s: float,
        on_retry: Callable[[str], None] = unheard,
    ) -> None:
        """`client` holds librdkafka settings, the address among them."""
        settings: dict[str, Setting] = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.max.bytes": 100_000_000,
            "queue.buffering.max.messages": 20_000,
            "queue.buffering.max.kbytes": 131_072,
            "delivery.timeout.ms": 30_000,
            "client.id": CONNECTOR,
        }
        self._deliveries = Deliveries({**settings, **client})
        self._suffix = suffix
        self._backoffs = (backoff_s, max_backoff_s)
        self._on_retry = on_retry

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """See `DeadLetters`. A value too large for the letters' topic is left out, and the headers say so."""
        async with asyncio.TaskGroup() as group:
            for letter in letters:
                group.create_task(self._send_one(letter))

    async def close(self) -> None:
        """See `DeadLetters`."""
        await self._deliveries.close()

    async def _send_one(self, letter: DeadLetter) -> None:
        backoff = Backoff(*self._backoffs)
        value, headers = letter.value, error_headers(letter)
        while True:
            try:
                error = await self._deliveries.deliver(
                    letter.topic + self._suffix, value, letter.key, headers
                )
            except BufferError:
                await asyncio.sleep(_FULL_S)
                continue
            if error is None:
                return
            if error.code() in _TOO_LARGE and value is not None:
                logger.warning("dead letters refuse %d bytes; the value is left out", len(value))
                headers = [*headers, (_OMITTED, str(len(value)).encode())]
                value = None
                continue
            logger.warning("waiting for the dead letters of %s: %s", letter.topic, error.str())
            self._on_retry("dead_letters")
            await asyncio.sleep(backoff.delay())
