"""Kafka in: one thread that polls, commits and answers rebalances. The only importer of Kafka's consumer.

The thread takes a slot for every poll that it hands over, so that a bounded number of them is worked on at a time. While no
slot is free nothing is polled, and librdkafka's own queue fills; only when that lasts are partitions paused, since pausing
throws away what was fetched ahead.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from ingest.config import IngestConfig
from ingest.follower import Follower, Nothing
from ingest.kafka_client import Setting
from ingest.kafka_commits import Commits, Complaints
from ingest.kafka_polls import PollReader
from ingest.kafka_reach import Reach, retire
from ingest.ledger import Ledger
from ingest.record import Polled
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)

_IDLE_S: Final = 0.1
_KAFKA_TIMEOUT_S: Final = 5.0


class KafkaSource:
    """Reads one topic as a member of a consumer group. `deliver` is called on the polling thread."""

    def __init__(
        self,
        topic: str,
        settings: Mapping[str, Setting],
        config: IngestConfig,
        ledger: Ledger,
        *,
        deliver: Callable[[Polled], None],
        recorder: Recorder,
        follower: Follower | None = None,
    ) -> None:
        """`recorder` must be one of the polling thread's own (`Recorder.for_thread()`)."""
        self._topic = topic
        self._config = config
        self._ledger = ledger
        self._deliver = deliver
        self._recorder = recorder
        self._bootstrap = str(settings["bootstrap.servers"])
        self._follower = follower or Nothing()
        self._complaints = Complaints(self._bootstrap, topic)
        self._commits = Commits(
            topic, ledger, config.commit_interval_s, recorder, self._complaints, self._follower.note
        )
        callbacks = {
            "error_cb": self._complaints.tell,
            "on_commit": self._commits.on_commit,
            "logger": logger,
        }
        self._settings = {**settings, **callbacks}
        self._reach = Reach(lambda: Consumer(self._settings), topic, recorder)
        self._consumer: Consumer | None = None
        self._slots = threading.Semaphore(config.batches_in_flight)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"kafka-{topic}", daemon=True)
        self._polls = PollReader(topic, ledger, recorder, on_error=self._complaints.tell)
        self._held: list[Message] = []
        self._paused: set[int] = set()
        self._fresh: set[int] = set()
        self._blocked_since: float | None = None
        self._drain_ends = 0.0
        self.left = 0
        self.last_poll = time.monotonic()
        self.failure: BaseException | None = None

    # -- for the event loop's thread

    def start(self) -> None:
        """Begin to read; returns at once, Kafka may appear later."""
        logger.info("waiting for Kafka at %s to read %s", self._bootstrap, self._topic)
        self._thread.start()

    def release(self) -> None:
        """A poll that was delivered is done with."""
        self._slots.release()

    def stop(self, drain_timeout_s: float) -> None:
        """Read no more, wait for what is in flight for so long at most, commit, leave the group. Blocks: call it in a thread."""
        self._drain_ends = time.monotonic() + drain_timeout_s
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(drain_timeout_s + 2 * _KAFKA_TIMEOUT_S)

    @property
    def read(self) -> int:
        """Records that were handed over so far."""
        return self._polls.read

    @property
    def lag(self) -> int:
        """Records after the committed positions, a second ago at most."""
        return self._commits.lag

    @property
    def alive(self) -> bool:
        """The polling thread runs."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """The group has given this reader a part, perhaps of no partitions."""
        return bool(self._ledger.partitions)

    # -- the polling thread

    def _main(self) -> None:
        try:
            consumer = Consumer(self._settings)
        except (KafkaException, ValueError) as error:
            self._fail(error)
            return
        try:
            self._join(consumer)
            while not self._stopping.is_set():
                consumer = self._renewed(consumer)
                self._turn(consumer)
            self._ledger.wait(self._ledger.partitions, max(0.0, self._drain_ends - time.monotonic()))
            self._drain_ends = 0.0  # what is not done by now is given back: revoking waits no more
        except (KafkaException, RuntimeError, ValueError) as error:
            self._fail(error)
        finally:
            consumer.close()  # commits and gives back through `_on_revoke`, then leaves the group

    def _join(self, consumer: Consumer) -> None:
        """Become a member of the group with this consumer."""
        self._consumer = consumer
        self._reach.heard(time.monotonic())
        consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _renewed(self, consumer: Consumer) -> Consumer:
        """The same consumer, or another in its place where it can never reach Kafka again."""
        other = self._reach.replacement(consumer, time.monotonic())
        if other is None:
            return consumer
        logger.warning(
            "reading %s: the client had lost every broker of Kafka; another one joins", self._topic
        )
        self._held.clear()
        self._give_back(list(self._ledger.partitions))
        self._join(other)
        retire(consumer)
        return other

    def _retired(self, consumer: Consumer) -> bool:
        """A callback comes from a client that was replaced: what it had has been given back."""
        return consumer is not self._consumer

    def _turn(self, consumer: Consumer) -> None:
        self.last_poll = now = time.monotonic()
        self._commits.keep_up(consumer, now)
        if not self._ledger.full and self._slots.acquire(timeout=_IDLE_S):
            if not self._take(consumer):
                self._slots.release()
            return
        self._blocked(consumer, now)

    def _take(self, consumer: Consumer) -> bool:
        """Poll with a slot in hand; whether it was used."""
        self._blocked_since = None
        if self._paused or self._fresh:
            self._resume(consumer)
        messages, self._held = self._held, []
        wanted = self._batch_size()
        messages = messages or self._consumed(consumer, wanted)
        if messages:
            self._reach.heard(time.monotonic())
        polled = self._polls.polled(consumer, messages) if messages else None
        if polled is None:
            return False
        self._deliver(polled)
        return True

    def _consumed(self, consumer: Consumer, wanted: int) -> list[Message]:
        messages: list[Message] = consumer.consume(wanted, self._config.linger_ms / 1e3)
        if not messages:
            messages = consumer.consume(1, _IDLE_S)
            if messages and wanted > 1:
                messages += consumer.consume(wanted - 1, 0)
        return messages

    def _blocked(self, consumer: Consumer, now: float) -> None:
        """No slot is free, or too much waits for an unfinished batch: stay in the group without reading on."""
        if self._blocked_since is None:
            self._blocked_since = now
        if not self._paused and now - self._blocked_since < self._config.pause_after_s:
            if self._ledger.full:
                self._stopping.wait(0.01)
            return
        if not self._paused.issuperset(self._ledger.partitions):
            self._pause(consumer)
        # Paused partitions bring nothing, yet polling serves rebalances; a straggler is kept for later.
        # Polled first: a rebalance within it takes from what is held, and must not be undone.
        stragglers = consumer.consume(1, 0.05)
        self._held += stragglers

    def _pause(self, consumer: Consumer) -> None:
        """Pause what is not paused yet: everything, or what a rebalance has brought meanwhile."""
        chosen = set(self._ledger.partitions) - self._paused
        consumer.pause([TopicPartition(self._topic, p) for p in chosen])
        self._paused |= chosen
        self._recorder.set(names.INGEST_PAUSED, len(self._paused), (self._topic, "backpressure"))
        logger.warning(
            "paused partitions %s of %s until what is in flight is done", sorted(chosen), self._topic
        )

    def _resume(self, consumer: Consumer) -> None:
        """Resume what was paused; also what is newly ours: librdkafka keeps it paused if it was lost while paused."""
        consumer.resume([TopicPartition(self._topic, p) for p in self._paused | self._fresh])
        self._fresh = set()
        if not self._paused:
            return
        self._paused = set()
        self._recorder.set(names.INGEST_PAUSED, 0, (self._topic, "backpressure"))
        logger.info("reading %s again", self._topic)

    def _batch_size(self) -> int:
        return max(1, min(self._config.batch_records, int(self._config.batch_bytes / self._polls.mean_bytes)))

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        logger.error("reading %s has ended: %s", self._topic, error)

    # -- rebalances, called from within `consume` and `close`

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        if self._retired(consumer):
            return
        self._begin(consumer, self._committed(consumer, places))
        self._fresh.update(place.partition for place in places)
        self._complaints.clear()
        logger.info("reading %s: given partitions %s", self._topic, sorted(p.partition for p in places))

    def _committed(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        """The committed offsets, waited for while nobody stops us: without them state would begin at the wrong record.

        Health looks after a wait that does not end, as after any silence of this thread.
        """
        while places and not self._stopping.is_set():
            try:
                found: list[TopicPartition] = consumer.committed(places, timeout=_KAFKA_TIMEOUT_S)
                refused = next((place.error for place in found if place.error), None)
            except KafkaException as error:
                refused = error.args[0]
            if refused is None:
                return found
            self._complaints.tell(refused)
            self._stopping.wait(_IDLE_S)
        return []

    def _begin(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        moved = False
        for place in found:
            committed = place.offset if place.offset >= 0 else None
            begin = self._follower.begin(place.partition, committed, place.metadata or "")
            if begin is not None and begin != committed:
                place.offset, moved = begin, True
            self._ledger.assign(place.partition, committed if begin is None else begin)
        if moved:
            (consumer.incremental_assign if self._cooperative else consumer.assign)(found)

    @property
    def _cooperative(self) -> bool:
        strategy = str(self._settings.get("partition.assignment.strategy", ""))
        return "cooperative" in strategy or self._settings.get("group.protocol") == "consumer"

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Finish what is in flight within the time there is, commit what is done, give back the rest."""
        if self._retired(consumer):
            return
        mine = [place.partition for place in places]
        self._held = [message for message in self._held if message.partition() not in mine]
        if not self._stopping.is_set():
            self._ledger.wait(mine, self._config.revoke_timeout_s)
        self._follower.save(mine, self._config.revoke_timeout_s)
        positions = self._ledger.due(mine)
        if positions:
            self._commits.commit(consumer, positions, wait=True)
        self._give_back(mine)

    def _on_lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Another reader has them already: there is nothing left to commit."""
        if self._retired(consumer):
            return
        mine = [place.partition for place in places]
        self._held = [message for message in self._held if message.partition() not in mine]
        logger.warning(
            "lost partitions %s of %s: this reader was away for too long", sorted(mine), self._topic
        )
        self._give_back(mine)

    def _give_back(self, partitions: list[int]) -> None:
        left = self._ledger.revoke(partitions)
        self._follower.end(partitions)
        self._paused.difference_update(partitions)
        self._fresh.difference_update(partitions)
        for partition in partitions:
            self._commits.forget(partition)
        if left and self._stopping.is_set():
            self.left += left
            self._recorder.count(names.INGEST_LEFT, left, (self._topic,))
        logger.info(
            "gave back partitions %s of %s, %d records uncommitted", sorted(partitions), self._topic, left
        )
