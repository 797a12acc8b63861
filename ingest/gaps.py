"""Offsets that were due and did not come: harmless holes, or records that the broker has dropped."""

import logging
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ingest.ledger import Opened
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

_ASK_TIMEOUT_S: Final = 2.0
_ASK_EVERY_S: Final = 1.0


class GapWatch:
    """Tells compaction and transaction markers (holes after the log's start) from records that are gone (before it)."""

    def __init__(self, topic: str, recorder: Recorder) -> None:
        self._topic = topic
        self._recorder = recorder
        self._harmless_until: dict[int, float] = {}

    def report(self, consumer: Consumer, opened: Opened, now: float) -> None:
        """Say so loudly, with the count, where records are gone. Asks the broker at most once a second for holes."""
        partition, expected = opened.span.partition, opened.expected
        if opened.went_back:
            logger.error(
                "%s partition %d went back from offset %s to %d: was the topic made anew? Reading on from there",
                self._topic, partition, expected, opened.span.first,
            )  # fmt: skip
            return
        if expected is None or now < self._harmless_until.get(partition, 0.0):
            return
        try:
            low, _ = consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=_ASK_TIMEOUT_S
            )
        except KafkaException:
            low = opened.span.first  # cannot tell: rather say too much than too little
        gone = min(low, opened.span.first) - expected
        if gone <= 0:
            self._harmless_until[partition] = now + _ASK_EVERY_S
            return
        self._recorder.count(names.INGEST_GAPS, gone, (self._topic,))
        logger.error(
            "%d records of %s partition %d are gone: offsets %d to %d were dropped by the broker before they were read",
            gone, self._topic, partition, expected, expected + gone - 1,
        )  # fmt: skip
