"""One reader of the stream, put together: source, worker, sink, dead letters. What an actor or a plain process runs."""

import asyncio

from ingest.config import IngestConfig
from ingest.deadletter import KafkaDeadLetters
from ingest.kafka_client import consumer_settings, producer_settings
from ingest.kafka_source import KafkaSource
from ingest.publish import RedisSink
from ingest.reading import TopicReader
from ingest.redis_link import RedisAddress
from ingest.resp import Framer
from ingest.reviewing import AnswerTap
from ingest.worker import StreamEngine, Worker
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.tracer import Tracer


class Reader(TopicReader):
    """Reads records, asks the engine, publishes what it answers."""

    def __init__(
        self,
        settings: Settings,
        config: IngestConfig,
        engine: StreamEngine,
        recorder: Recorder,
        tracer: Tracer | None = None,
        tap: AnswerTap | None = None,
    ) -> None:
        super().__init__(config)
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

    def start(self) -> None:
        """See `TopicReader`; Redis is looked for at once, not only when there is something to publish."""
        super().start()
        self._reaching = self._loop.create_task(self._sink.reach())

    async def _close(self) -> None:
        self._reaching.cancel()
        await asyncio.gather(self._reaching, return_exceptions=True)
        await self._dead_letters.close()
        await self._sink.close()
