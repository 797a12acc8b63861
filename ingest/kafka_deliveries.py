"""Kafka out: one record, one awaited acknowledgement. The only importer of Kafka's producer beside the command line."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.kafka_client import Setting
from ingest.kafka_reach import retire
from ingest.record import Headers

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.005
_TIMED_OUT: Final = KafkaError._MSG_TIMED_OUT  # noqa: SLF001 - its public name
_Report = asyncio.Future[KafkaError | None]


class Deliveries:
    """Produces on one event loop. A producer that can never deliver again is replaced by the next one."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        """`settings` are librdkafka's, the address among them."""
        self._settings = dict(settings)
        self._producer = self._made()
        self._owed: set[_Report] = set()  # of this producer; the next one begins with none
        self._polling: asyncio.Task[None] | None = None

    async def deliver(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers
    ) -> KafkaError | None:
        """None once all in-sync replicas have it, else the error: the caller tries again.

        Raises:
            BufferError: the producer's queue is full.
        """
        owed = self._owed
        report: _Report = asyncio.get_running_loop().create_future()
        try:
            self._producer.produce(
                topic, value, key, headers=list(headers), on_delivery=partial(_settle, report)
            )
        except KafkaException as error:
            return self._judged(owed, error.args[0])
        owed.add(report)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            return self._judged(owed, await report)
        finally:
            owed.discard(report)

    async def close(self) -> None:
        """Give up what is owed."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        self._producer.purge()

    def _judged(self, owed: set[_Report], error: KafkaError | None) -> KafkaError | None:
        """The error; what says that its producer will never deliver again brings another one.

        An idempotent producer whose broker lost its memory fails for good; one that has lost every broker (see
        `ingest.kafka_reach`) only ever times out.
        """
        if error is not None and owed is self._owed and (error.fatal() or error.code() == _TIMED_OUT):
            retired, self._producer, self._owed = self._producer, self._made(), set()
            retire(retired)
            for report in owed:
                _settle(report, error, None)
        return error

    def _made(self) -> Producer:
        return Producer(self._settings, logger=logger)

    async def _poll(self) -> None:
        """Serve delivery reports for as long as any is owed."""
        while self._owed:
            self._producer.poll(0)
            await asyncio.sleep(_POLL_S)


def _settle(report: _Report, error: KafkaError | None, _message: object) -> None:
    if not report.done():
        report.set_result(error)
