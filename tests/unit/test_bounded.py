"""A bounded wait ends in time, and hears of a cancellation even where its result comes in the same step."""

import asyncio

import pytest

from mesh.bounded import within


async def test_gives_what_comes_in_time():
    assert await within(20, asyncio.sleep(0, "here")) == "here"


async def test_ends_a_wait_that_takes_too_long():
    with pytest.raises(TimeoutError):
        await within(0.01, asyncio.Event().wait())


async def test_a_result_in_the_same_step_does_not_hide_a_cancellation():
    came = asyncio.get_running_loop().create_future()

    async def waits():
        await within(60, came)
        await asyncio.sleep(60)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    came.set_result(None)
    task.cancel()
    await asyncio.wait([task], timeout=20)
    assert task.cancelled()


async def test_a_cancellation_reaches_what_is_waited_for():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(within(60, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
