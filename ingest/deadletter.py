"""Dead letters to Kafka: the record untouched, and in its headers what went wrong, where.

Both header families that third-party viewers read are written: Kafka Connect's `__connect.errors.*` (KIP-298) and
Kafka Streams' `__streams.errors.*` (KIP-1034). Stack traces are left out: they can carry values.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
_OMITTED: Final = "__hyperstream.errors.{}.omitted.bytes"
_MESSAGE_CHARS: Final = 4_096
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)


@dataclass(frozen=True, slots=True)
class Produced:
    """What is sent of a letter: all of it, unless that is too large for the letters' topic."""

    value: bytes | None
    key: bytes | None
    own: Headers
    added: Headers

    @classmethod
    def of(cls, letter: DeadLetter) -> "Produced":
        """The whole letter."""
        return cls(letter.value, letter.key, letter.headers, error_headers(letter))

    @property
    def headers(self) -> Headers:
        """The record's own, then ours."""
        return [*self.own, *self.added]

    def smaller(self) -> "Produced | None":
        """Without the value, then without the record's own headers, then without its key; None where nothing is left to omit."""
        if self.value is not None:
            return replace(self, value=None, added=[*self.added, _omitted("value", len(self.value))])
        if self.own:
            size = sum(len(name) + len(value or b"") for name, value in self.own)
            return replace(self, own=(), added=[*self.added, _omitted("headers", size)])
        if self.key is not None:
            return replace(self, key=None, added=[*self.added, _omitted("key", len(self.key))])
        return None


def _omitted(part: str, size: int) -> tuple[str, bytes]:
    return _OMITTED.format(part), str(size).encode()


def error_headers(letter: DeadLetter) -> Headers:
    """The two families, as text; of a message that would fill the letter, its beginning."""
    message = letter.message[:_MESSAGE_CHARS]
    place = (("topic", letter.topic), ("partition", str(letter.partition)), ("offset", str(letter.offset)))
    connect = (
        *place,
        ("connector.name", CONNECTOR),
        ("task.id", str(letter.partition)),
        ("stage", letter.stage),
        ("class.name", "ingest.worker"),
        ("exception.class.name", letter.error_class),
        ("exception.message", message),
    )
    streams = (("exception", letter.error_class), ("message", message), *place)
    return [
        *((f"__connect.errors.{name}", _text(value)) for name, value in connect),
        *((f"__streams.errors.{name}", _text(value)) for name, value in streams),
    ]


def _text(value: str) -> bytes:
    """A model's message may hold what is no UTF-8, such as a part of a file's name: that must not keep the letter back."""
    return value.encode(errors="backslashreplace")


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
        """See `DeadLetters`. What is too large for the letters' topic is left out, and the headers say so."""
        async with asyncio.TaskGroup() as group:
            for letter in letters:
                group.create_task(self._send_one(letter))

    async def close(self) -> None:
        """See `DeadLetters`."""
        await self._deliveries.close()

    async def _send_one(self, letter: DeadLetter) -> None:
        backoff = Backoff(*self._backoffs)
        sent = Produced.of(letter)
        while True:
            try:
                error = await self._deliveries.deliver(
                    letter.topic + self._suffix, sent.value, sent.key, sent.headers
                )
            except BufferError:
                await asyncio.sleep(_FULL_S)
                continue
            if error is None:
                return
            smaller = sent.smaller() if error.code() in _TOO_LARGE else None
            if smaller is not None:
                sent = smaller
                name, size = sent.headers[-1]
                logger.warning("a dead letter of %s is too large: sent with %s %s", letter.topic, name, size)
                continue
            logger.warning("waiting for the dead letters of %s: %s", letter.topic, error.str())
            self._on_retry("dead_letters")
            await asyncio.sleep(backoff.delay())
