"""One reader of the stream, put together: source, worker, sink, dead letters. What an actor or a plain process runs."""

import asyncio
import logging
from dataclasses import dataclass

from ingest.config import IngestConfig
from ingest.deadletter import KafkaDeadLetters
from ingest.health import check_health
from ingest.kafka_client import consumer_settings, producer_settings
from ingest.kafka_source import KafkaSource
from ingest.ledger import Ledger
from ingest.publish import RedisSink
from ingest.record import Polled
from ingest.redis_link import RedisAddress
from ingest.resp import Framer
from ingest.reviewing import AnswerTap
from ingest.worker import StreamEngine, Worker
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.tracer import Tracer

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


class Reader:
    """Reads a topic until it is drained. Create it on the event loop that it is to live on."""

    def __init__(
        self,
        settings: Settings,
        config: IngestConfig,
        engine: StreamEngine,
        recorder: Recorder,
        tracer: Tracer | None = None,
        tap: AnswerTap | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._ledger = Ledger(config.open_batches)
        waits = (config.backoff_s, config.max_backoff_s)

        def count_retry(reason: str) -> None:
            recorder.count(names.INGEST_RETRIES, 1, (reason,))

        self._sink = RedisSink(
            RedisAddress.from_url(settings.redis_url),
            Framer(settings.redis_channel, config.log_records),
            *waits,
            count_retry,
        )
        self._dead_letters = KafkaDeadLetters(
            producer_settings(settings.kafka_bootstrap_servers, config),
            config.dead_letter_suffix,
            *waits,
            count_retry,
        )
        self._worker = Worker(
            engine,
            self._sink,
            self._dead_letters,
            ledger=self._ledger,
            config=config,
            recorder=recorder,
            default_endpoint=settings.default_model_id,
            tracer=tracer,
            tap=tap,
        )
        self._source = KafkaSource(
            settings.kafka_inference_topic,
            consumer_settings(settings.kafka_bootstrap_servers, settings.kafka_consumer_group, config),
            config,
            self._ledger,
            deliver=self._deliver,
            recorder=recorder.for_thread(),
        )
        self._drained: DrainSummary | None = None

    def start(self) -> None:
        """Begin to read; Kafka and Redis may appear later."""
        self._source.start()
        self._reaching = self._loop.create_task(self._sink.reach())

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
            await self._worker.drain(0.0)
            self._reaching.cancel()
            await asyncio.gather(self._reaching, return_exceptions=True)
            await self._dead_letters.close()
            await self._sink.close()
            self._drained = self.summary()
            logger.info("drained: %s", self._drained)
        return self._drained

    def _deliver(self, polled: Polled) -> None:
        """From the polling thread to the loop."""
        self._loop.call_soon_threadsafe(self._worker.accept, polled, self._source.release)
