"""Calls over real sockets: many at once, cancelled, failing, large, and more than the other side reads."""

import asyncio
import socket

import numpy as np
import pytest

from mesh.engine.direct.handler import awaited
from mesh.engine.direct.limits import LinkLimits, ListenerLimits
from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded, Unavailable
from mesh.routing.types import Scored
from mesh.wire import Reply, Request


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_a_call_brings_what_the_model_said(bench, model, tools, tcp):
    model.at_once = True
    _, address = await bench.listen(model.handle)
    link = await bench.link(address, tcp=tcp)
    scored = await link.call(tools.tensors(3.0, rows=2), 2, time_left_ms=250, queued_rows=9)
    np.testing.assert_array_equal(scored.outputs["y"], np.full((2, 16), 6.0, np.float32))
    request, _ = model.asked[0]
    assert (request.rows, request.time_left_ms, request.queued_rows) == (2, 250, 9)
    assert link.rows_waiting == 9
    assert (link.calls_in_flight, link.rows_in_flight) == (0, 0)


async def test_calls_in_flight_are_answered_in_any_order(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    link = await bench.link(address)
    futures = [link.call(tools.tensors(float(n), rows=n + 1), n + 1) for n in range(50)]
    assert (link.calls_in_flight, link.rows_in_flight) == (50, sum(range(1, 51)))
    await model.until_asked(50)
    assert listener.calls_in_flight == 50
    for index in np.random.default_rng(0).permutation(50):
        model.answer(int(index))
    for n, scored in enumerate(await asyncio.gather(*futures)):
        np.testing.assert_array_equal(scored.outputs["y"], np.full((n + 1, 16), 2.0 * n, np.float32))
    assert (link.rows_in_flight, listener.calls_in_flight) == (0, 0)


async def test_a_caller_that_is_cancelled_disturbs_nobody(bench, model, tools):
    _, address = await bench.listen(model.handle)
    link = await bench.link(address)

    async def ask(value):
        return await link.call(tools.tensors(value), 1)

    tasks = [asyncio.create_task(ask(float(n))) for n in range(10)]
    await model.until_asked(10)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.sleep(0)
    assert link.calls_in_flight == 10  # the replica still works on all of them
    for index in range(10):
        model.answer(index)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for n, answer in enumerate(answers):
        if n % 2:
            assert answer.outputs["y"][0, 0] == 2.0 * n
        else:
            assert isinstance(answer, asyncio.CancelledError)
    await tools.until(lambda: link.calls_in_flight == 0)
    model.at_once = True
    assert (await ask(5.0)).outputs["y"][0, 0] == 10.0


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_five_megabytes_both_ways_several_at_once(bench, model, tools, tcp):
    model.at_once = True
    _, address = await bench.listen(model.handle)
    link = await bench.link(address, tcp=tcp)
    rng = np.random.default_rng(0)
    images = [rng.random((1, 3, 640, 640), np.float32) for _ in range(6)]
    before = [image.copy() for image in images]
    futures = [link.call({"image": image}, 1) for image in images]
    small = link.call(tools.tensors(1.0), 1)
    for image, scored in zip(before, await asyncio.gather(*futures), strict=True):
        np.testing.assert_array_equal(scored.outputs["y"], image * 2)
    assert (await small).outputs["y"][0, 0] == 2.0


async def test_bytes_bools_failed_rows_and_confidence_arrive(bench):
    def handle(request, respond):
        failed = {1: "ValueError: no"}
        confidence = np.array([0.5, np.nan], np.float32)
        respond(Reply(request.id, Scored(request.tensors, confidence, "v7", failed), 0))

    _, address = await bench.listen(handle)
    link = await bench.link(address)
    sent = {"t": np.array([[b"a", b""], [b"\0", b"\xff\xfe"]], object), "b": np.array([True, False])}
    scored = await link.call(sent, 2)
    assert scored.outputs["t"].tolist() == sent["t"].tolist()
    assert scored.outputs["b"].tolist() == [True, False]
    np.testing.assert_array_equal(scored.confidence, np.array([0.5, np.nan], np.float32))
    assert (scored.version, dict(scored.failed)) == ("v7", {1: "ValueError: no"})


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("x", "expected FP32 [N, 4]"),
        Unavailable("m", "loading", 3.0),
        Overloaded("m", "70000 rows wait", 0.5),
        DeadlineExceeded("too late"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_handler_raises_is_that_calls_error(bench, tools, error):
    def handle(request, respond):
        if request.rows == 1:
            raise error
        respond(tools.scored(request))

    _, address = await bench.listen(handle)
    link = await bench.link(address)
    with pytest.raises(type(error)) as caught:
        await link.call(tools.tensors(), 1)
    assert str(caught.value) == str(error)
    assert vars(caught.value) == vars(error)
    assert (await link.call(tools.tensors(rows=2), 2)).version == "1"


async def test_a_handler_that_breaks_costs_one_call(bench, tools, caplog):
    def handle(request, respond):
        if request.rows == 1:
            raise ZeroDivisionError("by zero")
        respond(tools.scored(request))

    _, address = await bench.listen(handle)
    link = await bench.link(address)
    with pytest.raises(MeshError, match="model 'm' failed: ZeroDivisionError: by zero"):
        await link.call(tools.tensors(), 1)
    assert "Traceback" in caplog.text
    assert (await link.call(tools.tensors(rows=2), 2)).version == "1"


async def test_a_coroutine_may_answer(bench, tools):
    async def answer(request):
        await asyncio.sleep(0.01)
        if request.rows == 2:
            raise Unavailable("m", "resting", 1.0)
        return tools.scored(request)

    _, address = await bench.listen(awaited(answer))
    link = await bench.link(address)
    ones = [link.call(tools.tensors(float(n)), 1) for n in range(20)]
    with pytest.raises(Unavailable, match="resting"):
        await link.call(tools.tensors(rows=2), 2)
    assert [float(s.outputs["y"][0, 0]) for s in await asyncio.gather(*ones)] == [2.0 * n for n in range(20)]


async def test_a_second_answer_does_nothing(bench, tools):
    def handle(request, respond):
        respond(tools.scored(request))
        respond(tools.scored(request))

    _, address = await bench.listen(handle)
    link = await bench.link(address)
    for n in range(3):
        assert (await link.call(tools.tensors(float(n)), 1)).outputs["y"][0, 0] == 2.0 * n
    assert link.calls_in_flight == 0


async def test_what_cannot_be_sent_is_the_callers_fault_and_costs_nothing(bench, model, tools):
    model.at_once = True
    _, address = await bench.listen(model.handle, max_frame_bytes=100_000)
    link = await bench.link(address)
    with pytest.raises(InvalidInput, match="not 2 rows"):
        await link.call(tools.tensors(), 2)
    with pytest.raises(InvalidInput, match="the limit is 100000"):
        await link.call(tools.tensors(rows=2000), 2000)
    assert (await link.call(tools.tensors(), 1)).version == "1"


async def test_a_reply_beyond_the_callers_limit_is_an_error_of_that_call(bench, model, tools):
    model.at_once = True
    _, address = await bench.listen(model.handle)
    link = await bench.link(address, limits=LinkLimits(max_frame_bytes=50_000))
    with pytest.raises(MeshError, match=r"the reply cannot be sent: a frame of .* the limit is 50000"):
        await link.call(tools.tensors(rows=2000), 2000)
    assert (await link.call(tools.tensors(), 1)).version == "1"


async def test_an_answer_with_other_rows_is_an_error(bench, tools):
    def handle(request, respond):
        respond(Reply(request.id, Scored({"y": np.ones((3, 1))}, None, "1"), 0))

    _, address = await bench.listen(handle)
    link = await bench.link(address)
    with pytest.raises(MeshError, match="answered 3 rows for 1"):
        await link.call(tools.tensors(), 1)


async def test_calls_beyond_what_the_replica_takes_are_refused_here(bench, model, tools):
    _, address = await bench.listen(model.handle, max_calls=4)
    link = await bench.link(address)
    futures = [link.call(tools.tensors(float(n)), 1) for n in range(6)]
    for refused in futures[4:]:
        with pytest.raises(Overloaded, match="takes 4 calls at once"):
            await refused
    await model.until_asked(4)
    for index in range(4):
        model.answer(index)
    assert len(await asyncio.gather(*futures[:4])) == 4


async def test_a_replica_stops_reading_while_it_has_enough(bench, model, tools):
    """A client that ignores `max_calls` is held by backpressure: frames wait unread, in order."""
    _, address = await bench.listen(model.handle, max_calls=3)
    link = await bench.link(address)
    link._max_calls = 5000
    futures = [link.call(tools.tensors(float(n)), 1) for n in range(2000)]
    await model.until_asked(3)
    await asyncio.sleep(0.05)
    assert len(model.asked) == 3
    model.at_once = True
    for index in range(3):
        model.answer(index)
    answers = await asyncio.gather(*futures)
    assert [float(s.outputs["y"][0, 0]) for s in answers] == [2.0 * n for n in range(2000)]
    assert model.most_open <= 3


async def test_a_replica_that_does_not_read_bounds_what_waits_here(bench, model, tools):
    """Calls are held back beyond the high-water mark, refused beyond the limit, and all is sent once it reads."""
    model.at_once = True
    _, address = await bench.listen(model.handle)
    limits = LinkLimits(high_water_bytes=100_000, max_held_bytes=2_000_000)
    link = await bench.link(address, limits=limits)
    server = next(iter(bench.listeners[0]._connections))
    server.pipe.hold()
    await asyncio.sleep(0.01)
    big = {"x": np.ones((1, 200_000), np.float32)}
    futures = [link.call(big, 1) for _ in range(12)]
    await asyncio.sleep(0.05)
    refused = [future for future in futures if future.done()]
    assert 0 < len(refused) < 12
    assert link._pipe.unsent < 2_000_000
    assert link._held_bytes <= 2_000_000
    for future in refused:
        assert isinstance(future.exception(), Overloaded)
    cancelled = futures[11 - len(refused)]
    cancelled.cancel()
    server.pipe.release()
    rest = [future for future in futures if future not in refused and future is not cancelled]
    for scored in await asyncio.wait_for(asyncio.gather(*rest), 60):
        assert scored.outputs["y"].shape == (1, 200_000)
    await tools.until(lambda: link.calls_in_flight == 0)
    assert len(model.asked) == len(rest)  # the cancelled call had been held back, and was never sent
    assert link._held_bytes == 0


async def test_a_client_that_does_not_read_bounds_what_waits_there(bench, model, tools):
    """Replies fill the buffer up to the mark; then the replica takes no more requests of that connection."""
    model.at_once = True
    _, address = await bench.listen(model.handle, ListenerLimits(high_water_bytes=100_000), max_calls=1000)
    link = await bench.link(address)
    link._pipe.hold()
    big = {"x": np.ones((1, 20_000), np.float32)}
    futures = [link.call(big, 1) for _ in range(200)]
    server = next(iter(bench.listeners[0]._connections))
    await tools.until(lambda: server._full)
    await asyncio.sleep(0.05)
    assert len(model.asked) < 100
    assert server.pipe.unsent < 100_000 + 2 * 80_200
    link._pipe.release()
    for scored in await asyncio.wait_for(asyncio.gather(*futures), 60):
        assert scored.outputs["y"][0, 0] == 2.0


async def test_many_links_share_one_listener(bench, model, tools):
    model.at_once = True
    listener, address = await bench.listen(model.handle)
    links = [await bench.link(address, tcp=bool(n % 2)) for n in range(8)]
    assert listener.connections == 8
    calls = [link.call(tools.tensors(float(n)), 1) for n in range(20) for link in links]
    answers = await asyncio.gather(*calls)
    assert [float(s.outputs["y"][0, 0]) for s in answers] == [2.0 * n for n in range(20) for _ in links]


async def test_no_task_is_made_for_a_call(bench, model, tools):
    _, address = await bench.listen(model.handle)
    link = await bench.link(address)
    before = asyncio.all_tasks()
    futures = [link.call(tools.tensors(), 1) for _ in range(20)]
    await model.until_asked(20)
    assert asyncio.all_tasks() == before
    for index in range(20):
        model.answer(index)
    await asyncio.gather(*futures)


async def test_tcp_sends_small_frames_at_once(bench, model):
    _, address = await bench.listen(model.handle)
    link = await bench.link(address, tcp=True)
    raw = link._pipe._transport.get_extra_info("socket")
    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_requests_are_what_was_sent_even_when_the_array_is_reused_after_the_answer(bench, model, tools):
    model.at_once = True
    _, address = await bench.listen(model.handle)
    link = await bench.link(address)
    array = np.empty((1, 100_000), np.float32)
    for value in (1.0, 2.0, 3.0):
        array[:] = value
        assert (await link.call({"x": array}, 1)).outputs["y"][0, -1] == 2 * value
    request, _ = model.asked[0]
    assert isinstance(request, Request)
    assert request.tensors["x"][0, 0] == 1.0
