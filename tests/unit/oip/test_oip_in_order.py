"""Streams: concurrent work, replies in order, a bounded window, nothing left behind."""

import asyncio

import pytest

from serve.oip.in_order import in_order
from tests.fakes.waiting import turns


async def numbers(count):
    for number in range(count):
        yield number


async def test_replies_keep_the_order_of_requests():
    async def answer(number):
        await asyncio.sleep(0.01 if number % 2 == 0 else 0)
        return number

    assert [reply async for reply in in_order(numbers(20), answer, 4)] == list(range(20))


async def test_the_window_bounds_what_is_under_way():
    under_way, most = 0, 0

    async def answer(number):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        return number

    assert len([reply async for reply in in_order(numbers(30), answer, 3)]) == 30
    assert 2 <= most <= 3


async def test_closing_early_cancels_what_is_under_way():
    cancelled = 0

    async def answer(number):
        nonlocal cancelled
        try:
            await asyncio.sleep(0 if number == 0 else 30)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return number

    replies = in_order(numbers(10), answer, 4)
    assert await anext(replies) == 0
    await turns()
    await replies.aclose()
    assert cancelled >= 3
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_of_the_requests_comes_through():
    async def broken():
        yield 1
        raise ValueError("the stream broke")

    async def answer(number):
        return number

    replies = in_order(broken(), answer, 4)
    assert await anext(replies) == 1
    with pytest.raises(ValueError, match="the stream broke"):
        await anext(replies)
