"""What every reader of a topic does alike, whatever it makes of the records: begin, tell how far it is, end in order."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ingest.config import IngestConfig
from ingest.health import check_health
from ingest.kafka_source import KafkaSource
from ingest.ledger import Ledger
from ingest.record import Polled

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DrainSummary:
    """What became of the records that were read; records that a rebalance gave back and that came again count twice.

    `left_uncommitted` are in work now, or were given back by the drain: after a clean one it is 0.
    """

    read: int
    answered: int
    dead_lettered: int
    left_uncommitted: int

    def __str__(self) -> str:
        return (
            f"read {self.read}, answered {self.answered}, dead-lettered {self.dead_lettered}, "
            f"left uncommitted {self.left_uncommitted}"
        )


class PollWorker(Protocol):
    """Works on polls. `answered` counts records all of whose consequences are written."""

    answered: int
    dead_lettered: int
    failure: BaseException | None

    def accept(self, polled: Polled, done: Callable[[], None]) -> None:
        """Begin to work on a poll; `done` is called when it needs its slot no more."""
        ...

    async def drain(self) -> None:
        """Give up what is in flight, whose records stay uncommitted."""
        ...


class TopicReader(ABC):
    """Reads a topic until it is drained. Create it on the event loop that it is to live on."""

    _source: KafkaSource
    _worker: PollWorker

    def __init__(self, config: IngestConfig) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._ledger = Ledger(config.open_batches)
        self._drained: DrainSummary | None = None

    def start(self) -> None:
        """Begin to read; Kafka and Redis may appear later."""
        self._source.start()

    @property
    def lag(self) -> int:
        """Records in this reader's partitions after the committed offsets, a second ago at most."""
        return self._source.lag

    @property
    def partitions(self) -> int:
        """How many partitions this reader has."""
        return len(self._ledger.partitions)

    def summary(self) -> DrainSummary:
        """The numbers so far."""
        left = self._ledger.open_records + self._source.left
        return DrainSummary(self._source.read, self._worker.answered, self._worker.dead_lettered, left)

    def check_health(self) -> None:
        """Raises `StreamStalled` where the reader can do no more by itself. What waits for others is healthy."""
        check_health(self._source, self._worker.failure, self._config.stall_after_s)

    async def drain(self) -> DrainSummary:
        """Read no more, finish what is in flight, commit, leave the group; the numbers. Safe to call twice."""
        if self._drained is None:
            await asyncio.to_thread(self._source.stop, self._config.drain_timeout_s)
            await self._worker.drain()
            await self._close()
            self._drained = self.summary()
            logger.info("%s drained: %s", type(self).__name__, self._drained)
        return self._drained

    @abstractmethod
    async def _close(self) -> None:
        """Nothing is read or worked on any more: close all that was written to."""

    def _deliver(self, polled: Polled) -> None:
        """From the polling thread to the loop."""
        self._loop.call_soon_threadsafe(self._worker.accept, polled, self._source.release)
