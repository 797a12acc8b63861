"""Records into Kafka, and how far its readers are."""

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from mesh.errors import MeshError
from mesh.security.kafka_client import secured

_Told = Callable[[KafkaError | None, Message], None]

ANSWER_S: Final = 5.0
_DELIVER_S: Final = 30.0
_DELIVER_ONE_S: Final = 10.0
"""Somebody waits at a terminal for a single record."""
_AGAIN_S: Final = 0.2
_SOON: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


class KafkaAway(MeshError):
    """Kafka did not take or answer something; the message names the address and the variable that sets it."""


class Outbox:
    """Produces to one topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._failed: KafkaError | None = None
        self.delivered = 0
        self._producer: Producer = secured(
            Producer,
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,  # a send that is tried again keeps its place: telemetry has an order
                "linger.ms": 5,
                "message.timeout.ms": int(_DELIVER_S * 1e3),
                "queue.buffering.max.kbytes": 65_536,
                "log_level": 0,
            },
        )

    def send(self, value: bytes, key: bytes | None = None) -> None:
        """Queue one record; waits while the queue is full. `KafkaAway` where an earlier one was refused."""
        while True:
            try:
                self._produce(value, key, self._done)
            except BufferError:
                self._poll(0.1)
            else:
                self._poll(0)
                return

    def send_now(self, value: bytes, key: bytes | None = None) -> tuple[int, int]:
        """Send one record and wait: its partition and offset."""
        places: list[tuple[int, int]] = []

        def note(error: KafkaError | None, message: Message) -> None:
            self._done(error, message)
            if error is None:
                places.append((message.partition(), message.offset()))

        self._produce(value, key, note)
        self.flush(_DELIVER_ONE_S)
        return places[0]

    def flush(self, timeout_s: float = _DELIVER_S) -> None:
        """Wait until everything queued is delivered; `KafkaAway` where it is not in time."""
        left = self._producer.flush(timeout_s)
        self._raise_failed()
        if left:
            raise KafkaAway(f"{left} records were not taken within {timeout_s:.0f} s{self._where()}")

    def partitions(self) -> tuple[list[int], bool]:
        """The topic's partitions, and whether this is the demo broker. Asking may create the topic."""
        try:
            found = self._producer.list_topics(self._topic, timeout=ANSWER_S)
        except KafkaException as error:
            raise KafkaAway(f"Kafka does not answer{self._where()}: {error.args[0].str()}") from None
        # librdkafka's mock cluster names itself so.
        demo = str(found.cluster_id).startswith("mockCluster")
        return sorted(found.topics[self._topic].partitions), demo

    def _produce(self, value: bytes, key: bytes | None, told: _Told) -> None:
        """Queue a record; `BufferError` where the queue is full, `KafkaAway` where the record is too large for any topic."""
        try:
            self._producer.produce(self._topic, value, key, on_delivery=told)
        except KafkaException as error:
            reason = f"a record of {len(value):,} bytes is not taken{self._where()}: {error.args[0].str()}"
            raise KafkaAway(reason) from None

    def _poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)
        self._raise_failed()

    def _done(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._failed = error

    def _raise_failed(self) -> None:
        if self._failed is not None:
            raise KafkaAway(f"a record was not delivered{self._where()}: {self._failed.str()}")

    def _where(self) -> str:
        return f" (topic {self._topic} at {self._bootstrap}; KAFKA_BOOTSTRAP_SERVERS sets the address)"


class Readers:
    """What a consumer group has not yet committed of a topic. Asks without joining the group."""

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: list[int]) -> None:
        self._consumer: Consumer = secured(
            Consumer,
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "log_level": 0,
            },
        )
        self._topics = [TopicPartition(topic, partition) for partition in partitions]

    def unread(self) -> list[int]:
        """Unread records of each partition; `KafkaAway` where the broker does not say."""
        try:
            return [self._unread(place) for place in self._committed()]
        except KafkaException as error:
            raise KafkaAway(f"Kafka does not say how far its readers are: {error.args[0].str()}") from None

    def close(self) -> None:
        """Leave nothing behind."""
        self._consumer.close()

    def _committed(self) -> list[TopicPartition]:
        """Asked again while a new broker makes the group's coordinator."""
        give_up = time.monotonic() + ANSWER_S
        while True:
            try:
                return list(self._consumer.committed(self._topics, timeout=ANSWER_S))
            except KafkaException as error:
                if error.args[0].code() not in _SOON or time.monotonic() > give_up:
                    raise
                time.sleep(_AGAIN_S)

    def _unread(self, place: TopicPartition) -> int:
        low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        return int(high - (place.offset if place.offset >= 0 else low))
