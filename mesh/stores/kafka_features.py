"""Reads a features topic. Where to begin each partition is said by whoever takes it, not by Kafka."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from mesh.security.kafka_client import secured
from mesh.stores.errors import StreamAway
from mesh.stores.materialize import Kept, KeptOf
from mesh.stores.records import FeatureRecord

ANSWER_S: Final = 10.0
EMPTY_S: Final = 10.0
"""A group that gives no partitions may not have heard of a new topic yet; after so long it means it."""
Begin = Callable[[Sequence[int], KeptOf], Mapping[int, int]]
"""Partitions that are ours now, and who says what Kafka holds of one → the offset to read each from."""


class KafkaFeatures:
    """A consumer in a group, so that several share the partitions. Belongs to one thread."""

    def __init__(self, bootstrap: str, topic: str, group: str, begin: Begin) -> None:
        """Joins the group. Raises `StreamAway` where Kafka does not answer or the topic is not there."""
        self._topic, self._begin = topic, begin
        self._where = f"(topic {topic} at {bootstrap}; KAFKA_BOOTSTRAP_SERVERS sets the address)"
        self._mine: dict[int, int] | None = None
        self._ends: dict[int, int] = {}
        self._at_end: set[int] = set()
        self._anew: set[int] = set()
        self._since = 0.0
        self._consumer: Consumer = secured(
            Consumer,
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": "hyperstream-features",
                "enable.auto.commit": False,  # the table holds the offsets
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 5,  # the default of a second stalls reading whenever the queue was full
                "queued.max.messages.kbytes": 65_536,
                "session.timeout.ms": 10_000,
                "topic.metadata.refresh.interval.ms": 5_000,
                "log_level": 2,
            },
        )
        self._check_topic()
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)

    @property
    def assigned(self) -> bool:
        """Whether the group has said which partitions are ours; they may be none."""
        return self._mine is not None

    @property
    def topic(self) -> str:
        """Its name."""
        return self._topic

    @property
    def made_anew(self) -> bool:
        """Whether a partition counts from the beginning again while it is read: commit what was read of it, then `again`."""
        return bool(self._anew)

    @property
    def caught_up(self) -> bool:
        """Whether all is read that was there when the partitions became ours."""
        if not self._mine:
            return self._mine is not None and time.monotonic() - self._since >= EMPTY_S
        return all(
            partition in self._at_end or offset >= self._ends[partition]
            for partition, offset in self._mine.items()
        )

    def poll(self, limit: int, timeout_s: float) -> list[FeatureRecord]:
        """Up to `limit` records, waiting up to `timeout_s` for them. `StreamAway` for what does not pass by itself.

        None of a topic that was made anew: it is read from where `again` says.
        """
        found: list[FeatureRecord] = []
        for message in self._consumer.consume(limit, timeout_s):
            error = message.error()
            if error is None:
                record = FeatureRecord(
                    message.partition(), message.offset(), message.timestamp()[1], message.value() or b""
                )
                if self._mine is not None and record.offset < self._mine.get(record.partition, 0):
                    self._anew.add(record.partition)
                    return found
                self._note(record)
                found.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client names it so
                self._at_end.add(message.partition())
            elif error.fatal() or error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise StreamAway(f"Kafka refuses to be read {self._where}: {error.str()}")
        return found

    def lag(self) -> int:
        """Records that are in our partitions and not read yet, as far as the client knows without asking."""
        total = 0
        for partition, offset in (self._mine or {}).items():
            with contextlib.suppress(KafkaException):
                place = TopicPartition(self._topic, partition)
                total += max(0, self._consumer.get_watermark_offsets(place, cached=True)[1] - offset)
        return total

    def tell(self, offsets: Mapping[int, int]) -> None:
        """Let tools that watch the group see how far the table is; nothing here reads it."""
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        if places:
            with contextlib.suppress(KafkaException):
                self._consumer.commit(offsets=places, asynchronous=True)

    def again(self) -> None:
        """Begin our partitions anew, from where they are said to begin now."""
        if self._mine is not None:
            self._assigned(self._consumer, [TopicPartition(self._topic, part) for part in self._mine])

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _check_topic(self) -> None:
        try:
            found = self._consumer.list_topics(timeout=ANSWER_S)
        except KafkaException as error:
            self._consumer.close()
            raise StreamAway(f"Kafka does not answer {self._where}: {error.args[0].str()}") from None
        if self._topic not in found.topics:
            self._consumer.close()
            raise StreamAway(
                f"there is no such topic {self._where}: start what writes it, or correct topics.yml"
            )

    def _assigned(self, consumer: Any, places: list[TopicPartition]) -> None:
        self._at_end, self._since = set(), time.monotonic()
        self._mine = dict(self._begin([place.partition for place in places], self._kept_of))
        self._ends = {place.partition: self._kept_of(place.partition).high for place in places}
        self._anew.clear()
        for place in places:
            place.offset = self._mine[place.partition]
        consumer.assign(places)

    def _revoked(self, _consumer: Any, _places: list[TopicPartition]) -> None:
        """All that was ours is gone; the next assignment says what is ours then."""
        self._mine, self._ends, self._at_end = None, {}, set()
        self._anew.clear()
        self._begin([], self._kept_of)

    def _kept_of(self, partition: int) -> Kept:
        place = TopicPartition(self._topic, partition)
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        except KafkaException as error:
            raise StreamAway(
                f"Kafka does not say where partition {partition} ends {self._where}: {error.args[0].str()}"
            ) from None
        return Kept(int(low), int(high), anew=partition in self._anew)

    def _note(self, record: FeatureRecord) -> None:
        self._at_end.discard(record.partition)
        if self._mine is not None:
            self._mine[record.partition] = record.offset + 1
