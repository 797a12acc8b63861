"""A client that has lost every broker, noticed and replaced.

A broker that comes back from a long pause may answer, for a moment, that the cluster has no brokers. librdkafka (2.10 to 2.16
at least) then drops all it knows, its bootstrap addresses too, and never connects again, nor does it say so
(https://github.com/confluentinc/librdkafka/issues/5301). So whoever hears nothing for a while asks, and where a new client
reaches the cluster that the old one cannot, the new one takes over.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaException, Producer

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

SILENT_S: Final = 10.0
"""A consumer that brings nothing for so long is asked whether it still reaches a broker; then again as often."""
_ANSWER_S: Final = 2.0


class Reach:
    """Watches a consumer of one topic, and records for how long Kafka has been away. Lives on the polling thread."""

    def __init__(self, make: Callable[[], Consumer], topic: str, recorder: Recorder) -> None:
        """`make` gives another consumer like the one that is watched."""
        self._make, self._topic, self._recorder = make, topic, recorder
        self._next = float("inf")
        self._heard = 0.0
        self._away = True

    def heard(self, now: float) -> None:
        """Something came, or reading begins, at this monotonic time."""
        self._next, self._heard = now + SILENT_S, now
        if self._away:
            self._away = False
            self._recorder.set(names.INGEST_KAFKA_AWAY, 0.0, (self._topic,))

    def replacement(self, consumer: Consumer, now: float) -> Consumer | None:
        """Another consumer, not subscribed yet, where `consumer` reaches no broker and the other one does.

        Asks only after a silence; blocks for twice `_ANSWER_S` at most. While Kafka is away there is nothing to replace.
        """
        if now < self._next:
            return None
        self._next = now + SILENT_S
        if _reaches(consumer, self._topic):
            self.heard(now)
            return None
        other = self._make()
        if _reaches(other, self._topic):
            self.heard(now)
            return other
        other.close()
        self._away = True
        self._recorder.set(names.INGEST_KAFKA_AWAY, now - self._heard, (self._topic,))
        return None


def _reaches(consumer: Consumer, topic: str) -> bool:
    try:
        consumer.list_topics(topic, timeout=_ANSWER_S)
    except KafkaException:
        return False
    return True


def retire(client: Consumer | Producer) -> None:
    """Let go of a client that cannot be waited for: what it has lost keeps it from ending in time, or at all."""
    threading.Thread(target=_end, args=[client], name="kafka-retired", daemon=True).start()


def _end(client: Consumer | Producer) -> None:
    try:
        if isinstance(client, Consumer):
            client.close()
        else:
            client.purge()
    except (KafkaException, RuntimeError) as error:
        logger.info("a retired client of Kafka ended with: %s", error)
