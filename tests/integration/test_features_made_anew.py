"""A features topic that was made anew, from a broker: found at the start and while it is read, told, and read whole."""

import io
import threading

import numpy as np
import pytest
from confluent_kafka import Producer, TopicPartition
from rich.console import Console

from mesh.cli.materializing import MaterializeLoop
from mesh.stores.delta_reader import FOREVER, DeltaReader
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.kafka_features import KafkaFeatures
from mesh.stores.materialize import CommitPolicy, Materializer
from mesh.stores.records import RowDecoder
from mesh.stores.rows import Piece
from mesh.telemetry.recorder import Recorder
from tests.fakes.feature_rows import T0, a_batch, a_record, a_view

VIEW = a_view()
OLD, NEW = 5_000, 3_000


@pytest.fixture
def address(tmp_path) -> str:
    """A table of 100 rows whose partition 0 stands at 5000."""
    where = str(tmp_path / "telemetry")
    writer, batch = DeltaWriter(where, VIEW), a_batch([("pump-7", at) for at in range(100)])
    writer.begin([0])
    writer.append(Piece(batch, np.zeros(100, np.int64), np.arange(OLD - 100, OLD), {0: OLD}))
    return where


def a_materializer(address: str) -> Materializer:
    return Materializer(
        "telemetry", RowDecoder(VIEW), DeltaWriter(address, VIEW), CommitPolicy(500, 5.0), Recorder()
    )


class Broker:
    """A mock cluster that can be wiped: the same address in name, every topic empty."""

    def __init__(self) -> None:
        self.produced = 0
        self.wipe()

    def wipe(self) -> None:
        self.producer = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
        self.producer.list_topics(VIEW.topic, timeout=10)
        places = self.producer.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{one.host}:{one.port}" for one in places)

    def produce(self, count: int) -> None:
        for _ in range(count):
            record = a_record("pump-7", T0 + OLD + self.produced, 0)
            self.producer.produce(VIEW.topic, record.value, partition=0, timestamp=record.timestamp_ms)
            self.produced += 1
        assert self.producer.flush(10) == 0


def materialize(broker: Broker, address: str) -> str:
    made, console = a_materializer(address), Console(file=io.StringIO(), width=300)
    source = KafkaFeatures(broker.address, VIEW.topic, "g", made.begin)
    try:
        loop = MaterializeLoop(source, made, Recorder(), "telemetry", [])
        loop.run(threading.Event(), console, until_caught_up=True)
    finally:
        source.close()
    return console.file.getvalue() + loop.summary(1.0)


@pytest.mark.slow
def test_from_a_broker_that_was_wiped_until_caught_up(address):
    broker = Broker()
    broker.produce(NEW)
    said = materialize(broker, address)
    assert "topic hyperstream.features was made anew: of partition 0" in said
    assert "3,000 rows added" in said
    assert "the topic was made anew (partitions 0)" in said
    broker.produce(40)
    said = materialize(broker, address)
    assert "40 rows added, 0 were there" in said
    assert "made anew" not in said
    broker.wipe()
    broker.produce(25)
    assert "25 rows added" in materialize(broker, address)
    stored = DeltaReader(address, VIEW).history("pump-7", 0, FOREVER)
    assert sum(len(batch) for batch in stored) == 100 + NEW + 65


def test_a_partition_that_counts_from_the_beginning_while_it_is_read(address):
    broker = Broker()
    broker.produce(10)
    made = a_materializer(address)
    source = KafkaFeatures(broker.address, VIEW.topic, "g", made.begin)
    try:
        while not source.caught_up:
            made.take(source.poll(100, 0.1), 0.0)
        # Kafka gives offset 0 where 10 was to come, as after a reset to the earliest.
        source._consumer.seek(TopicPartition(VIEW.topic, 0, 0))
        for _ in range(100):
            if source.made_anew:
                break
            assert source.poll(100, 0.1) == []
        made.flush()
        source.again()
        assert not source.made_anew
        assert made.made_anew[-1].stood == 10
        while not source.caught_up:
            made.take(source.poll(100, 0.1), 0.0)
        made.flush()
    finally:
        source.close()
    assert (made.totals.added, made.totals.repeated) == (10, 10)
