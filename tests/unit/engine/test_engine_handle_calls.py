"""Calls through the handle, where no replica is known: each comes back at once, whatever becomes of it."""

import asyncio

import numpy as np
import pytest

from mesh.engine.batcher import Outcome
from mesh.engine.ports import ModelPolicy, Silent
from mesh.engine.replicas import HANDLE_CALLS, Replicas
from mesh.errors import InvalidInput
from mesh.routing.types import Tensors, Unreachable

ROW = {"x": np.zeros((1, 2), np.float32)}


class Called:
    """Replicas of one model behind a handle, and what came back."""

    def __init__(self, handle) -> None:
        self.replicas = Replicas("m", ModelPolicy(timeout_s=30.0), "here", handle, Silent(), direct=True)
        self.done: asyncio.Queue[Outcome] = asyncio.Queue()

    def send(self, tensors: Tensors) -> None:
        self.replicas.send(tensors, 1, None, 0, self.done.put_nowait)

    async def outcome(self) -> Outcome:
        return await asyncio.wait_for(self.done.get(), 20)


async def never(_packed: bytes) -> bytes:
    await asyncio.Event().wait()
    return b""


async def test_what_no_call_can_carry_is_refused_and_says_nothing_of_the_model():
    called = Called(never)
    for _ in range(20):
        called.send({"x": np.zeros((1,) * 9, np.float32)})
        outcome = await called.outcome()
        assert isinstance(outcome, InvalidInput)
        assert "rank 9" in outcome.reason
    assert called.replicas.breaker.state == "closed"
    assert called.replicas.free_calls() == HANDLE_CALLS
    await called.replicas.close()


@pytest.mark.parametrize("answer", [b"", b"no frame at all", RuntimeError("the proxy is gone")])
async def test_an_answer_that_is_none_is_a_model_that_is_away(answer):
    async def handle(_packed: bytes) -> bytes:
        if isinstance(answer, Exception):
            raise answer
        return answer

    called = Called(handle)
    called.send(ROW)
    outcome = await called.outcome()
    assert isinstance(outcome, Unreachable)
    assert outcome.kind == "away"
    await called.replicas.close()


async def test_calls_that_are_out_come_back_when_the_carrier_closes():
    called = Called(never)
    called.send(ROW)
    await asyncio.sleep(0)
    await called.replicas.close()
    assert called.done.get_nowait() == Unreachable("away", "'m' was closed")
