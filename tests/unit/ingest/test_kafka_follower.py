"""What the polling thread tells the follower of partitions, and what it keeps in Kafka for it; a client that is replaced."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ingest.config import IngestConfig
from ingest.kafka_reach import SILENT_S, Reach
from ingest.kafka_source import KafkaSource
from ingest.ledger import Ledger
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))


class HandConsumer:
    """The part of a consumer that rebalances need; `kept` maps a partition to its committed offset and note."""

    def __init__(self, kept: dict[int, tuple[int, str]] | None = None, failures: int = 0) -> None:
        self.kept, self.failures = kept or {}, failures
        self.calls: list[str] = []
        self.assigned: dict[int, int] = {}
        self.reaches = True
        self.closed = False

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.failures:
            self.failures -= 1
            raise AWAY
        return [
            TopicPartition(p.topic, p.partition, *self.kept.get(p.partition, (-1001, ""))) for p in places
        ]

    def incremental_assign(self, places: Sequence[TopicPartition]) -> None:
        self.assigned = {place.partition: place.offset for place in places}

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        self.calls.append(f"commit {'later' if asynchronous else 'now'}")
        self.kept |= {place.partition: (place.offset, place.metadata) for place in offsets}

    def list_topics(self, topic: str, timeout: float) -> None:
        self.calls.append(topic)
        if not self.reaches:
            raise AWAY

    def close(self) -> None:
        self.closed = True


class Told:
    """A follower whose state of every partition ends at `begin`."""

    def __init__(self, begin: int | None = None) -> None:
        self._begin = begin
        self.heard: list[tuple[object, ...]] = []

    def begin(self, partition: int, committed: int | None, note: str, /) -> int | None:
        self.heard.append(("begin", partition, committed, note))
        return self._begin

    def note(self, partition: int, /) -> str:
        return f"note of {partition}"

    def save(self, partitions: Sequence[int], timeout_s: float, /) -> None:
        self.heard.append(("save", tuple(partitions)))

    def end(self, partitions: Sequence[int], /) -> None:
        self.heard.append(("end", tuple(partitions)))


def source(follower: Told, consumer: HandConsumer, ledger: Ledger) -> KafkaSource:
    settings = {"bootstrap.servers": "nowhere", "partition.assignment.strategy": "cooperative-sticky"}
    made = KafkaSource(
        "raw",
        settings,
        IngestConfig(revoke_timeout_s=0.0),
        ledger,
        deliver=lambda _polled: None,
        recorder=Recorder(),
        follower=follower,
    )
    made._consumer = consumer
    return made


def places(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition("raw", partition) for partition in partitions]


def test_a_partition_is_read_from_where_its_state_ends() -> None:
    follower, consumer, ledger = Told(30), HandConsumer({0: (40, "state:30:1")}), Ledger(10)
    source(follower, consumer, ledger)._on_assign(consumer, places(0, 1))
    assert follower.heard == [("begin", 0, 40, "state:30:1"), ("begin", 1, None, "")]
    assert consumer.assigned == {0: 30, 1: 30}
    assert ledger.position(0) == 30


def test_without_state_it_is_read_from_the_committed_offset_which_the_client_knows() -> None:
    follower, consumer, ledger = Told(), HandConsumer({0: (40, "")}), Ledger(10)
    source(follower, consumer, ledger)._on_assign(consumer, places(0))
    assert consumer.assigned == {}
    assert ledger.position(0) == 40


def test_an_offset_that_kafka_does_not_say_at_once_is_waited_for() -> None:
    follower, consumer, ledger = Told(30), HandConsumer({0: (40, "state:30:1")}, failures=1), Ledger(10)
    source(follower, consumer, ledger)._on_assign(consumer, places(0))
    assert follower.heard == [("begin", 0, 40, "state:30:1")]
    assert consumer.assigned == {0: 30}


def test_a_reader_that_is_stopped_waits_for_no_offset_and_begins_nothing() -> None:
    follower, consumer, ledger = Told(30), HandConsumer(failures=1_000), Ledger(10)
    stopped = source(follower, consumer, ledger)
    stopped.stop(0.0)
    stopped._on_assign(consumer, places(0))
    assert follower.heard == []
    assert ledger.partitions == ()


def test_state_is_saved_before_the_commit_that_names_it_and_ended_after() -> None:
    follower, consumer, ledger = Told(30), HandConsumer({0: (30, "")}), Ledger(10)
    reading = source(follower, consumer, ledger)
    reading._on_assign(consumer, places(0))
    opened = ledger.open(0, 30, 34, 5)
    assert opened is not None
    ledger.complete([opened.span])
    reading._on_revoke(consumer, places(0))
    assert consumer.kept == {0: (35, "note of 0")}
    assert consumer.calls == ["commit now"]
    assert follower.heard[1:] == [("save", (0,)), ("end", (0,))]
    assert ledger.partitions == ()


def test_a_partition_that_was_lost_is_ended_without_saving_or_committing() -> None:
    follower, consumer, ledger = Told(30), HandConsumer({0: (30, "")}), Ledger(10)
    reading = source(follower, consumer, ledger)
    reading._on_assign(consumer, places(0))
    reading._on_lost(consumer, places(0))
    assert follower.heard[1:] == [("end", (0,))]
    assert consumer.calls == []


def test_a_consumer_is_asked_only_after_a_silence_and_as_often_again() -> None:
    consumer = HandConsumer()
    reach = Reach(HandConsumer, "raw", Recorder())
    assert reach.replacement(consumer, 1e9) is None, "nothing was begun yet"
    reach.heard(100.0)
    for now in (
        100.0,
        100.0 + SILENT_S - 0.1,
        100.0 + SILENT_S,
        100.0 + SILENT_S + 0.1,
        100.0 + 2 * SILENT_S,
    ):
        assert reach.replacement(consumer, now) is None
    assert consumer.calls == ["raw"] * 2


def test_one_that_has_lost_every_broker_is_replaced_where_another_finds_one() -> None:
    lost, made = HandConsumer(), HandConsumer()
    lost.reaches = False
    reach = Reach(lambda: made, "raw", Recorder())
    reach.heard(0.0)
    assert reach.replacement(lost, SILENT_S) is made
    assert not made.closed


def test_while_kafka_is_away_there_is_nothing_to_replace() -> None:
    lost, made = HandConsumer(), HandConsumer()
    lost.reaches = made.reaches = False
    recorder = Recorder()
    reach = Reach(lambda: made, "raw", recorder)
    away = lambda: recorder.snapshot().gauges[names.INGEST_KAFKA_AWAY.name]  # noqa: E731
    reach.heard(0.0)
    assert away() == {("raw",): 0.0}
    for asked in (1, 2, 7):
        assert reach.replacement(lost, asked * SILENT_S) is None
        assert away() == {("raw",): asked * SILENT_S}, "since it was last heard"
    assert made.closed
    lost.reaches = True
    assert reach.replacement(lost, 8 * SILENT_S) is None
    assert away() == {("raw",): 0.0}, "it answers, though nothing may come"
    lost.reaches = False
    reach.replacement(lost, 9 * SILENT_S)
    assert away() == {("raw",): SILENT_S}
    reach.heard(9.5 * SILENT_S)
    assert away() == {("raw",): 0.0}, "a record came"


class HeldMessage:
    """A record that came while its partition was paused."""

    def __init__(self, partition: int) -> None:
        self._partition = partition

    def partition(self) -> int:
        return self._partition


def test_what_was_held_of_a_partition_goes_with_it_also_while_polling_for_more() -> None:
    """Else it would be worked on after the partition came back, ahead of what is read again from its committed offset."""
    ledger = Ledger(8)

    class Rebalancing(HandConsumer):
        def pause(self, places: Sequence[TopicPartition]) -> None:
            self.calls.append("pause")

        def consume(self, most: int, timeout: float) -> list[HeldMessage]:
            made._on_revoke(self, places(3))  # type: ignore[arg-type] # callbacks run within the poll
            return [HeldMessage(4)]

    consumer = Rebalancing()
    made = source(Told(), consumer, ledger)
    made._held = [HeldMessage(3), HeldMessage(4)]  # type: ignore[list-item]
    made._blocked(consumer, 0.0)  # type: ignore[arg-type]
    made._paused = {3, 4}
    made._blocked(consumer, 99.0)  # type: ignore[arg-type]
    assert [message.partition() for message in made._held] == [4, 4]


class RefusedPlace:
    """A partition whose committed offset Kafka does not tell yet, as `committed` brings it back beside good ones."""

    def __init__(self, partition: int) -> None:
        self.partition, self.offset, self.metadata = partition, -1001, None
        self.error = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)


def test_an_offset_that_kafka_does_not_tell_yet_is_not_taken_for_none() -> None:
    class Unstable(HandConsumer):
        def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
            self.calls.append("asked")
            if len(self.calls) < 3:
                return [RefusedPlace(place.partition) for place in places]  # type: ignore[misc]
            return super().committed(places, timeout)

    follower, consumer = Told(), Unstable({3: (40, "kept")})
    source(follower, consumer, Ledger(8))._on_assign(consumer, places(3))  # type: ignore[arg-type]
    assert follower.heard == [("begin", 3, 40, "kept")]
