"""Heads of the audit log in Kafka: sent by who watches the log, read back by who checks it."""

import time
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from mesh.errors import StoreAway
from mesh.records.heads import PublishedHead, head_json, head_of_json
from mesh.security.kafka import kafka_security
from mesh.security.kafka_client import secured

SEND_S: Final = 3.0
READ_S: Final = 30.0
_ANSWER_S: Final = 5.0
_TOGETHER: Final = 1_000


class KafkaHeads:
    """A `HeadSink`. Nothing connects before the first head."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._producer: Producer | None = None

    def publish(self, head: PublishedHead) -> None:
        """As `HeadSink.publish`; all heads of a log are of one partition, in order. Raises `StoreAway`."""
        producer = self._producer or self._connected()
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(error)

        producer.produce(self._topic, head_json(head), head.chain, on_delivery=delivered)
        if producer.flush(SEND_S):
            producer.purge()
            producer.flush(0)
            raise self._away("it took nothing in time")
        if failed:
            raise self._away(failed[0].str())

    def close(self) -> None:
        """As `HeadSink.close`; every head was delivered or given up already."""
        self._producer = None

    def _connected(self) -> Producer:
        self._producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "client.id": "hyperstream-audit",
                "acks": "all",
                "message.timeout.ms": int(SEND_S * 1000),
                "queue.buffering.max.messages": 100,
                "log_level": 0,
                **kafka_security(),
            }
        )
        return self._producer

    def _away(self, reason: str) -> StoreAway:
        return _away(self._bootstrap, self._topic, reason)


def published_heads(bootstrap: str, topic: str) -> list[PublishedHead]:
    """Every head that the topic holds, in the order of each partition. Raises `StoreAway`."""
    consumer: Consumer = secured(
        Consumer,
        {
            "bootstrap.servers": bootstrap,
            "group.id": "hyperstream-audit-verify",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        },
    )
    try:
        return _read(consumer, bootstrap, topic)
    except KafkaException as error:
        raise _away(bootstrap, topic, error.args[0].str()) from None
    finally:
        consumer.close()


def _read(consumer: Consumer, bootstrap: str, topic: str) -> list[PublishedHead]:
    found = consumer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
    if found.error is not None:
        raise _away(bootstrap, topic, found.error.str())
    unread = set(found.partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in unread])
    heads: list[PublishedHead] = []
    ends = time.monotonic() + READ_S
    while unread:
        for message in consumer.consume(_TOGETHER, 0.5):
            error = message.error()
            if error is None:
                head = head_of_json(message.value() or b"")
                heads += [] if head is None else [head]
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client names it so
                unread.discard(message.partition())
        if unread and time.monotonic() > ends:
            raise _away(bootstrap, topic, f"it could not be read to its end within {READ_S:.0f} s")
    return heads


def _away(bootstrap: str, topic: str, reason: str) -> StoreAway:
    return StoreAway("Kafka", f"topic {topic} at {bootstrap} (KAFKA_BOOTSTRAP_SERVERS): {reason}")
