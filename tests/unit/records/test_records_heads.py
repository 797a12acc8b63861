"""The end of the log is published when it is new, and again when it could not be."""

from unittest.mock import Mock

import pytest

from mesh.errors import StoreAway
from mesh.records.entry import Head
from mesh.records.heads import HeadWatch, PublishedHead, head_json, head_of_json, short_number


class Told:
    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.sent: list[bool] = []

    def seen(self, head):
        self.heads.append(head)

    def published(self, *, sent):
        self.sent.append(sent)


class Sink:
    def __init__(self) -> None:
        self.heads: list[PublishedHead] = []
        self.away = self.closed = False

    def publish(self, head):
        if self.away:
            raise StoreAway("Kafka", "gone")
        self.heads.append(head)

    def close(self):
        self.closed = True


@pytest.fixture
def log() -> list[Head]:
    return [Head()]


def watch(log, sink, told) -> HeadWatch:
    async def look():
        return "c" * 64, log[-1]

    return HeadWatch(look, sink, told, every_s=60)


async def test_each_new_end_is_published_once_and_an_empty_log_is_not(log):
    sink, told = Sink(), Told()
    watching = watch(log, sink, told)
    for head in (Head(), Head(3, "a" * 64), Head(3, "a" * 64), Head(4, "b" * 64)):
        log.append(head)
        await watching.once()
    assert [(head.chain[:2], head.seq, head.hash[:2]) for head in sink.heads] == [
        ("cc", 3, "aa"),
        ("cc", 4, "bb"),
    ]
    assert told.heads[-1] == Head(4, "b" * 64)


async def test_one_that_could_not_be_published_is_tried_again_and_said_once(log, caplog):
    sink, told = Sink(), Told()
    watching = watch(log, sink, told)
    log.append(Head(3, "a" * 64))
    sink.away = True
    await watching.once()
    await watching.once()
    sink.away = False
    await watching.once()
    assert told.sent == [False, False, True]
    assert len(caplog.records) == 1
    assert "is not published: Kafka does not answer" in caplog.text


async def test_an_error_that_is_none_of_ours_does_not_end_the_watch(log, caplog):
    sink, told = Sink(), Told()
    publish, sink.publish = sink.publish, Mock(side_effect=BufferError("Local: Queue full"))
    watching = watch(log, sink, told)
    log.append(Head(3, "a" * 64))
    await watching.once()
    await watching.once()
    sink.publish = publish
    await watching.once()
    assert told.sent == [False, False, True]
    assert caplog.text.count("is not published: Local: Queue full") == 1


async def test_a_sink_that_cannot_be_closed_keeps_nobody_from_stopping(log, caplog):
    sink = Sink()
    sink.close = Mock(side_effect=RuntimeError("gone"))
    watching = watch(log, sink, Told())
    watching.start()
    await watching.stop()
    assert "is not closed: gone" in caplog.text


async def test_the_last_end_is_published_when_it_stops(log):
    sink = Sink()
    watching = watch(log, sink, Told())
    watching.start()
    log.append(Head(5, "d" * 64))
    await watching.stop()
    assert [head.seq for head in sink.heads] == [5]
    assert sink.closed


def test_a_head_reads_back_and_nothing_else_does():
    head = PublishedHead("c" * 64, 3, "a" * 64, 1_764_000_000_000)
    assert head_of_json(head_json(head)) == head
    assert [head_of_json(document) for document in (b"", b"[]", b'{"seq":"3"}')] == [None] * 3


def test_a_metric_holds_thirteen_digits():
    digest = "fedcba9876543" + "0" * 51
    assert f"{int(float(short_number(digest))):013x}" == "fedcba9876543"
