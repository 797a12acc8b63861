"""One reader for all subscribers: order, resuming without loss or repeats, gaps, slow readers, a Redis that goes away."""

import asyncio
from itertools import count

import orjson
import pytest

from mesh.errors import InvalidInput, NotFound, StoreAway
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.predictions import Beat, MemoryBeats, MemoryLog, ModelWindow, Slice
from serve.graphql.alert_feed import AlertFeed, Wanted
from serve.graphql.app import client_of
from serve.graphql.feed import PredictionFeed
from serve.graphql.refusals import LogOff, LogTrimmed, SlowReader, graphql_error
from serve.graphql.status import StreamStatus
from tests.fakes.alert_events import opened
from tests.fakes.waiting import eventually, turns


def add(log, model_id, number):
    return log.add(orjson.dumps({"inference_id": f"t-0-{number}", "model_id": model_id}))


class CountingLog(MemoryLog):
    """Counts the reads of its tail that found something, fails those that it is told to, and hides what came for some."""

    def __init__(self, size=100_000):
        super().__init__(size, wait_s=0.05)
        self.reads, self.failing, self.gap, self.broken = 0, 0, False, False

    async def read(self, cursor):
        if self.broken:
            self.broken = False
            raise ValueError("what nobody thought of")
        if self.failing:
            self.failing -= 1
            raise StoreAway("the log", "refused")
        found = await super().read(cursor)
        self.reads += bool(found.entries)
        return Slice(found.entries, self.gap or found.trimmed)


@pytest.fixture
async def log():
    return CountingLog()


@pytest.fixture
async def feed(log):
    made = PredictionFeed(log, log, waiting=50)
    yield made
    await made.close()


async def take(stream, n):
    return [(await asyncio.wait_for(anext(stream), 20)).prediction.inference_id for _ in range(n)]


async def listening(feed, stream):
    """The next item, asked for once the subscriber is in place."""
    task = asyncio.ensure_future(anext(stream))
    for _ in range(20):
        await asyncio.sleep(0)
    assert feed.listeners
    return task


async def test_each_subscriber_gets_its_endpoint_in_order_from_one_reader(log, feed):
    streams = [feed.follow(model) for model in "aab" * 10]
    firsts = [await listening(feed, stream) for stream in streams]
    for number in range(20):
        add(log, "ab"[number % 2], number)
    for at, stream in enumerate(streams):
        ids = [(await firsts[at]).prediction.inference_id, *await take(stream, 9)]
        assert ids == [f"t-0-{number}" for number in range("aab"[at % 3] == "b", 20, 2)]
    assert log.reads <= 20  # not thirty times as many
    for stream in streams:
        await stream.aclose()
    assert feed.listeners == 0


async def test_a_subscriber_that_resumes_misses_nothing_and_gets_nothing_twice(log, feed):
    numbers = count()
    cursors = [add(log, "ab"[next(numbers) % 2], number) for number in range(1_500)]
    other = await listening(feed, live := feed.follow("a"))  # the reader runs while the other catches up

    async def go_on():
        for _ in range(400):
            number = next(numbers)
            add(log, "ab"[number % 2], number)
            if number % 20 == 0:
                await asyncio.sleep(0.001)

    going = asyncio.create_task(go_on())
    stream = feed.follow("a", cursors[99])
    assert await take(stream, 900) == [f"t-0-{number}" for number in range(100, 1_900, 2)]
    await going
    await other
    for one in (stream, live):
        await one.aclose()


async def test_it_resumes_from_an_inference_too_and_from_the_first_of_two(log, feed):
    for number in (0, 1, 2, 1, 3):
        add(log, "a", number)
    stream = feed.follow("a", "t-0-1")
    assert await take(stream, 3) == ["t-0-2", "t-0-1", "t-0-3"]
    await stream.aclose()


async def test_an_inference_that_metadata_names_is_not_the_one_to_resume_from(log, feed):
    told = {"inference_id": "t-0-9", "model_id": "a", "metadata": {"inference_id": "t-0-2"}}
    log.add(orjson.dumps(told))
    with pytest.raises(LogTrimmed):
        await asyncio.wait_for(anext(feed.follow("a", "t-0-2")), 20)
    for number in (1, 2, 3):
        add(log, "a", number)
    stream = feed.follow("a", "t-0-2")
    assert await take(stream, 1) == ["t-0-3"]
    await stream.aclose()


async def test_who_catches_up_while_the_reader_fails_gets_what_comes_after(log, feed):
    cursors = [add(log, "a", number) for number in range(700)]
    stream = feed.follow("a", cursors[0])
    assert await take(stream, 1) == ["t-0-1"]
    log.broken = True
    await eventually(lambda: not log.broken)
    assert await take(stream, 698) == [f"t-0-{number}" for number in range(2, 700)]
    following = asyncio.ensure_future(anext(stream))
    await eventually(lambda: feed.listeners)
    add(log, "a", 700)
    assert (await asyncio.wait_for(following, 20)).prediction.inference_id == "t-0-700"
    await stream.aclose()


async def test_what_cannot_be_resumed_from_is_said(feed, log):
    cursor = add(log, "a", 1)
    for after, error in (
        ("x", InvalidInput), ("9999999999999-0", InvalidInput), ("1-0", LogTrimmed), ("t-0-7", LogTrimmed),
    ):  # fmt: skip
        with pytest.raises(error, match="after: "):
            await anext(feed.follow("a", after))
    stream = feed.follow("a", "0-0")
    assert (await anext(stream)).cursor == cursor
    await stream.aclose()


async def test_a_slow_reader_gets_what_waited_is_told_and_slows_nobody(log, feed):
    slow, quick = feed.follow("a"), feed.follow("a")
    firsts = [await listening(feed, slow), await listening(feed, quick)]
    for number in range(200):
        add(log, "a", number)
        if number % 20 == 19:
            await firsts[1]
            await take(quick, 19 if number == 19 else 20)
    assert (await firsts[0]).prediction.inference_id == "t-0-0"
    got, told = [], None
    while told is None:
        try:
            got.append(await anext(slow))
        except SlowReader as error:
            told = error
    assert 49 <= len(got) <= 51
    error = graphql_error(told)
    assert error.extensions == {"code": "SLOW_READER", "after": got[-1].cursor}
    await quick.aclose()


async def test_a_gap_is_told_and_a_redis_that_was_away_is_not(log, feed):
    first = await listening(feed, stream := feed.follow("a"))
    log.failing = 2
    add(log, "a", 1)
    assert (await first).prediction.inference_id == "t-0-1"
    log.gap = True
    with pytest.raises(LogTrimmed):
        await asyncio.wait_for(anext(stream), 20)


async def test_documents_that_are_no_predictions_are_left_out(log, feed):
    first = await listening(feed, stream := feed.follow("a"))
    log.add(b"not json")
    log.add(b'{"model_id":"a","inference_id":"x","answered_by":7}')
    add(log, "a", 1)
    assert (await first).prediction.inference_id == "t-0-1"
    await stream.aclose()


async def test_alerts_are_told_as_they_change_to_those_who_want_them():
    alerts = MemoryAlerts()
    feed = AlertFeed(alerts, alerts, waiting=5)
    every, critical = feed.follow(Wanted()), feed.follow(Wanted(severity="critical"))
    nexts = [asyncio.ensure_future(anext(stream)) for stream in (every, critical)]
    await turns()
    events = [opened(1), opened(2, severity="critical")]
    for event in events:
        await alerts.write([event])
    assert (await nexts[0]).change in ("opened", "grouped")
    assert (await nexts[1]).alert.opened.severity == "critical"
    for stream in (every, critical):
        await stream.aclose()
    again = asyncio.ensure_future(anext(stream := feed.follow(Wanted())))
    await turns()
    await alerts.act(events[0].id, "acknowledge", "ann", 1)
    assert (await again).alert.acknowledged.actor == "ann"
    await stream.aclose()
    await feed.close()


async def test_the_status_is_honest():
    now = [1_000.0]
    beats = MemoryBeats(lambda: now[0])
    empty = await StreamStatus(beats).state("m")
    assert (empty.connected, empty.last_heartbeat_at, empty.predictions_per_second) == (False, None, None)
    await beats.beat(Beat("a", 5, 30.0, {"m": ModelWindow(60, 20, 3.0)}, ("m", "n")))
    await beats.beat(Beat("b", 7, 10.0, {"m": ModelWindow(20, 0, 1.0)}, ("m", "n")))
    now[0] += 2
    state = await StreamStatus(beats).state("m")
    assert (state.connected, state.replicas, state.lag_records, state.last_heartbeat_at) == (
        True,
        2,
        12,
        1_000.0,
    )
    assert state.average_latency_ms == pytest.approx(50)
    assert state.predictions_per_second == pytest.approx(4)
    assert state.error_rate == pytest.approx(0.2)
    quiet = await StreamStatus(beats).state("n")
    assert (quiet.average_latency_ms, quiet.error_rate, quiet.predictions_per_second) == (None, None, 0)
    with pytest.raises(NotFound, match="did you mean 'm'"):
        await StreamStatus(beats).state("mm")
    now[0] += 5
    gone = await StreamStatus(beats).state("m")
    assert (gone.connected, gone.replicas, gone.last_heartbeat_at, gone.average_latency_ms) == (
        False,
        0,
        1_000.0,
        None,
    )


async def test_a_subscription_that_could_never_get_anything_is_refused():
    beats = MemoryBeats()
    await StreamStatus(beats).admit("anything")  # nobody is there to know
    await beats.beat(Beat("a", 0, 2.0, {}, ("m",), logged=False))
    with pytest.raises(LogOff, match="INGEST_LOG_RECORDS"):
        await StreamStatus(beats).admit("m")
    with pytest.raises(NotFound):
        await StreamStatus(beats).admit("x")


def test_a_client_is_known_by_what_a_proxy_on_this_host_tells():
    told = [(b"x-forwarded-for", b"10.0.0.1, 10.0.0.7")]
    assert client_of({"client": ("127.0.0.1", 1), "headers": told}) == "10.0.0.7"
    assert client_of({"client": ("10.0.0.9", 1), "headers": told}) == "10.0.0.9"
    assert client_of({"client": None, "headers": []}) == ""
