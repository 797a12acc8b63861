"""What the polling thread does beside polling: commit what is due, measure what waits, say what Kafka complains of."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ingest.ledger import Ledger
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

_LAG_EVERY_S: Final = 1.0
_COMPLAIN_EVERY_S: Final = 30.0


class Complaints:
    """Says what is waited for: each kind of error at once, then now and then."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._told: dict[str, float] = {}

    def tell(self, error: KafkaError) -> None:
        """Kafka, or its client, has said this."""
        now = time.monotonic()
        if now - self._told.get(error.name(), -_COMPLAIN_EVERY_S) >= _COMPLAIN_EVERY_S:
            self._told[error.name()] = now
            logger.warning(
                "waiting for Kafka at %s to read %s: %s", self._bootstrap, self._topic, error.str()
            )

    def clear(self) -> None:
        """It works again: the next error of any kind is told at once."""
        self._told.clear()


class Commits:
    """Commits the ledger's positions of one topic, and knows the lag behind them."""

    def __init__(
        self,
        topic: str,
        ledger: Ledger,
        every_s: float,
        recorder: Recorder,
        complaints: Complaints,
        note: Callable[[int], str],
    ) -> None:
        """`note` says what Kafka is to keep beside the offset of a partition."""
        self._note = note
        self._topic, self._ledger, self._every_s = topic, ledger, every_s
        self._recorder, self._complaints = recorder, complaints
        self._next_commit = 0.0
        self._next_lag = 0.0
        self.lag = 0

    def keep_up(self, consumer: Consumer, now: float) -> None:
        """Whatever is due at this monotonic time."""
        if now >= self._next_commit:
            self._next_commit = now + self._every_s
            positions = self._ledger.due()
            if positions:
                self.commit(consumer, positions, wait=False)
        if now >= self._next_lag:
            self._next_lag = now + _LAG_EVERY_S
            self._measure_lag(consumer)

    def commit(self, consumer: Consumer, positions: Mapping[int, int], *, wait: bool) -> None:
        """Commit; a position that Kafka does not take is due again."""
        try:
            places = [TopicPartition(self._topic, p, at, self._note(p)) for p, at in positions.items()]
            consumer.commit(offsets=places, asynchronous=not wait)
        except KafkaException as error:
            self._complaints.tell(error.args[0])

    def on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """The client's callback: what Kafka has taken."""
        if error is not None:
            self._complaints.tell(error)
        self._ledger.committed(
            {place.partition: place.offset for place in places if not place.error and not error}
        )

    def forget(self, partition: int) -> None:
        """A partition that is read no more has no lag here."""
        self._recorder.unset(names.INGEST_LAG, (self._topic, str(partition)))

    def _measure_lag(self, consumer: Consumer) -> None:
        total = 0
        for partition in self._ledger.partitions:
            at = self._ledger.committed_position(partition)
            _, high = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            if at is not None and high >= 0:
                lag = max(0, high - at)
                total += lag
                self._recorder.set(names.INGEST_LAG, lag, (self._topic, str(partition)))
        self.lag = total
