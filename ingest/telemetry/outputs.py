"""What the chain writes: feature records, late records, dead letters. Each call returns when Kafka has it all."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec
import numpy as np
from confluent_kafka import KafkaError

from ingest.backoff import Backoff
from ingest.kafka_client import Setting
from ingest.kafka_deliveries import Deliveries
from ingest.record import Headers, Polled
from ingest.stages.rows import Rows
from mesh.pipeline.plan import Level

logger = logging.getLogger(__name__)

_FULL_S: Final = 0.005
_COMPLAIN_EVERY_S: Final = 10.0
_BACKOFF_S: Final = (0.05, 2.0)


class _Metadata(msgspec.Struct, gc=False):
    """What rules may read of a feature record, and what a store keeps it under."""

    asset: str
    ts: int
    names: str
    level: int


class _FeatureRecord(msgspec.Struct, gc=False):
    """A record of the features topic: one that the mesh can score as it stands."""

    model_id: str
    input_id: str
    features: list[list[float]]
    metadata: _Metadata


Records = Sequence[tuple[bytes | None, bytes | None, Headers]]
"""Keys, values and headers."""


class Destination(Protocol):
    """Takes records."""

    async def write(self, records: Records) -> None:
        """Returns when every one is there for good; waits and tries again for as long as that takes."""
        ...


class Topic:
    """Writes to one topic, trying again for as long as it takes."""

    def __init__(self, name: str, settings: Mapping[str, Setting]) -> None:
        """`settings` are librdkafka's."""
        self._name = name
        self._deliveries = Deliveries(settings)
        self._complained = -_COMPLAIN_EVERY_S

    async def write(self, records: Records) -> None:
        """See `Destination`; returns when all in-sync replicas have every one."""
        async with asyncio.TaskGroup() as group:
            for key, value, headers in records:
                group.create_task(self._write_one(key, value, headers))

    async def close(self) -> None:
        """Give up what is not delivered."""
        await self._deliveries.close()

    async def _write_one(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        backoff = Backoff(*_BACKOFF_S)
        while True:
            try:
                error = await self._deliveries.deliver(self._name, value, key, headers)
            except BufferError:
                await asyncio.sleep(_FULL_S)
                continue
            if error is None:
                return
            self._complain(error)
            await asyncio.sleep(backoff.delay())

    def _complain(self, error: KafkaError) -> None:
        """Say what is waited for, now and then."""
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_EVERY_S:
            self._complained = now
            logger.warning("records for %s are kept and sent again: %s", self._name, error.str())


class FeatureTopic:
    """The features topic: a record for each window, keyed by asset."""

    def __init__(self, topic: Destination, model_id: str, names_digest: str) -> None:
        """`model_id` is the endpoint that scores such a record; `names_digest` names the columns of its features."""
        self._topic, self._model_id, self._names = topic, model_id, names_digest
        self._encode = msgspec.json.Encoder().encode

    async def write(self, rows: Rows, level: Level) -> None:
        """Returns when Kafka has them."""
        await self._topic.write(self._records(rows, level))

    def _records(self, rows: Rows, level: Level) -> list[tuple[bytes, bytes, Headers]]:
        features = rows.flat.tolist()
        return [
            (
                asset.encode(),
                self._encode(
                    _FeatureRecord(
                        self._model_id,
                        row_id,
                        [values],
                        _Metadata(asset, time, self._names, int(level)),
                    )
                ),
                (),
            )
            for row_id, asset, time, values in zip(
                rows.ids, rows.assets, rows.time.tolist(), features, strict=True
            )
        ]


def late_records(polled: Polled, late: np.ndarray) -> Records:
    """The late records of a poll, untouched, with their place in a header."""
    found: list[tuple[bytes | None, bytes | None, Headers]] = []
    for at in late.tolist():
        message = polled.messages[at]
        place = f"{polled.topic}-{polled.partitions[at]}-{polled.offsets[at]}"
        found.append(
            (message.key(), polled.values[at], [*(message.headers() or ()), ("hyperstream.place", place)])
        )
    return found
