"""What the carrier of a model's calls promises while replicas come, go, hang and come back."""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
from hosted import NODE, FunctionModel, HostedReplica

from mesh.engine.batcher import Batcher
from mesh.engine.links import Links
from mesh.engine.ports import HandlePath, ModelPolicy, Silent
from mesh.engine.replicas import HANDLE_CALLS, Replicas
from mesh.errors import Unavailable
from mesh.routing.breaker import Breaker, BreakerPolicy
from mesh.routing.types import CallResult, Scored, Tensors
from tests.fakes.waiting import eventually


def one_row() -> Tensors:
    return {"x": np.zeros((1, 2), np.float32)}


class Heard(Breaker):
    """Counts the successes that it is told of."""

    succeeded_calls = 0

    def succeeded(self, now: float, seconds: float) -> None:
        self.succeeded_calls += 1


class CountingHandle:
    """A handle that answers that nobody is there after a while, and counts the calls that are out at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.out = self.most = 0

    async def __call__(self, payload: bytes) -> bytes:
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.out -= 1
        raise Unavailable("m", "no replica", 1.0)


def carrier(policy: ModelPolicy, handle: HandlePath | None = None) -> tuple[Replicas, Batcher]:
    replicas = Replicas("m", policy, NODE, handle, Silent(), direct=True)
    batcher = Batcher("m", replicas, policy.max_batch_rows, 10_000)
    replicas.kick = batcher.kick
    return replicas, batcher


def kinds(results: list[CallResult]) -> Counter[str]:
    return Counter("answered" if isinstance(result, Scored) else result.kind for result in results)


async def test_the_handle_takes_so_many_calls_at_once_also_of_what_waits_together():
    handle = CountingHandle(0.01)
    replicas, batcher = carrier(ModelPolicy(max_batch_rows=1, breaker=BreakerPolicy(min_calls=100)), handle)
    results = await asyncio.gather(*[batcher.submit(one_row(), 1, None) for _ in range(30)])
    assert kinds(results) == {"away": 30}
    assert handle.most == HANDLE_CALLS
    assert replicas.free_calls() == HANDLE_CALLS


async def test_a_handle_that_hangs_keeps_nobody_waiting():
    replicas, batcher = carrier(ModelPolicy(max_batch_rows=1, timeout_s=0.02), CountingHandle(60))
    waiting = asyncio.gather(*[batcher.submit(one_row(), 1, None) for _ in range(30)])
    results = await asyncio.wait_for(waiting, 5)
    # The breaker opens at ten, while others are out
    assert 10 <= kinds(results)["deadline"] < 10 + HANDLE_CALLS
    await replicas.close()


async def test_of_calls_that_nobody_waits_for_a_few_go_on_through_the_handle():
    handle = CountingHandle(60)
    replicas, _ = carrier(ModelPolicy(), handle)
    for _ in range(20):
        done = asyncio.get_running_loop().create_future()
        replicas.send(one_row(), 1, time.monotonic() + 0.005, 0, done.set_result)
        assert (await done).kind == "deadline"
    await eventually(lambda: handle.out == HANDLE_CALLS)
    assert (handle.out, handle.most) == (HANDLE_CALLS, HANDLE_CALLS + 1)
    await replicas.close()
    assert handle.out == 0


async def test_what_waits_while_a_link_opens_keeps_to_its_slots():
    host = HostedReplica("m", FunctionModel(), 0)
    replicas, batcher = carrier(ModelPolicy(max_batch_rows=1, max_inflight=2))
    out: list[int] = []
    take = replicas._links.slots.__class__.__setitem__

    class Watched(Counter[str]):
        def __setitem__(self, key: str, value: int) -> None:
            out.append(value)
            take(self, key, value)

    replicas._links.slots = Watched()
    replicas.update([await host.start()])
    results = await asyncio.gather(*[batcher.submit(one_row(), 1, None) for _ in range(200)])
    assert kinds(results) == {"answered": 200}
    assert max(out) == 2
    assert replicas.free_calls() == 2
    await replicas.close()
    await host.stop()


async def test_a_slow_call_counts_for_the_breaker_though_its_caller_was_impatient(monkeypatch):
    now = [time.monotonic()]
    monkeypatch.setattr("mesh.engine.replicas.time", SimpleNamespace(monotonic=lambda: now[0]))
    policy = ModelPolicy(timeout_s=30.0, breaker=BreakerPolicy(slow_s=0.05, min_calls=2))
    replicas, _ = carrier(policy, CountingHandle(60))
    loop = asyncio.get_running_loop()
    for left, state in ((0.01, "closed"), (0.01, "closed"), (0.07, "closed"), (0.07, "open")):
        done = loop.create_future()
        replicas.send(one_row(), 1, now[0] + left, 0, done.set_result)
        now[0] += left
        assert (await done).kind == "deadline"
        assert replicas.breaker.state == state
    await replicas.close()


async def test_a_replica_scores_nothing_for_callers_that_have_gone():
    model = FunctionModel(seconds=0.1)
    host = HostedReplica("m", model, 0)
    replicas, batcher = carrier(ModelPolicy(max_batch_rows=1, max_inflight=8, timeout_s=0.25))
    replicas.update([await host.start()])
    results = await asyncio.gather(*[batcher.submit(one_row(), 1, None) for _ in range(8)])
    assert kinds(results)["deadline"] >= 5
    await asyncio.sleep(0.5)
    assert len(model.calls) <= 4
    await replicas.close()
    await host.stop()


async def ask_impatiently(replicas: Replicas, seconds: float) -> None:
    """Calls whose deadline no answer of the model keeps, one after the other."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and replicas.breaker.state == "closed":
        done = asyncio.get_running_loop().create_future()
        replicas.send(one_row(), 1, time.monotonic() + 0.02, 0, done.set_result)
        assert (await done).kind == "deadline"


async def test_a_model_that_hangs_opens_the_breaker_though_all_callers_are_impatient():
    host = HostedReplica("m", FunctionModel(seconds=1.5), 0)
    policy = ModelPolicy(breaker=BreakerPolicy(slow_s=0.2, min_calls=3))
    replicas, _ = carrier(policy)
    replicas.update([await host.start()])
    await eventually(lambda: replicas._links.free_slots() is not None)
    began = time.monotonic()
    await ask_impatiently(replicas, 20.0)
    assert replicas.breaker.state == "open"
    assert time.monotonic() - began > policy.breaker.slow_s
    await replicas.close()
    await host.stop()


async def test_a_model_that_is_merely_slower_than_its_callers_wait_does_not():
    host = HostedReplica("m", FunctionModel(seconds=0.06), 0)
    replicas, _ = carrier(ModelPolicy(breaker=BreakerPolicy(slow_s=0.5, min_calls=3)))
    replicas.update([await host.start()])
    await eventually(lambda: replicas._links.free_slots() is not None)
    await ask_impatiently(replicas, 1.2)
    assert replicas.breaker.state == "closed"
    await replicas.close()
    await host.stop()


async def test_what_a_full_link_refuses_says_nothing_of_the_model():
    model = FunctionModel()
    model.gate.clear()
    host = HostedReplica("m", model, 0)
    policy = ModelPolicy(max_inflight=1_000, breaker=BreakerPolicy(min_calls=1, slow_s=60.0))
    replicas, _ = carrier(policy)
    replicas.update([await host.start()])
    await eventually(lambda: replicas._links.free_slots() is not None)
    replicas.breaker = Heard(policy.breaker)
    refused: list[object] = []
    for _ in range(200):
        replicas.send(one_row(), 1, None, 0, refused.append)
    await eventually(lambda: refused)
    await asyncio.sleep(0.05)
    assert replicas.breaker.succeeded_calls == 0
    model.gate.set()
    await replicas.close()
    await host.stop()


async def test_an_old_link_that_breaks_takes_nothing_from_the_one_that_followed_it():
    model = FunctionModel()
    model.gate.clear()
    host = HostedReplica("m", model, 0)
    lease = await host.start()
    links = Links(NODE, 2, 30.0, lambda: None)
    links.follow([lease])
    await eventually(lambda: links.choose(set()) is not None)
    old = links.choose(set())
    assert old is not None
    last = old.call(one_row(), 1)  # keeps it open while it retires
    links.follow([])
    links.follow([lease])
    await eventually(lambda: links.choose(set()) is not None)
    new = links.choose(set())
    assert new is not old
    old._pipe.abort("network")
    await asyncio.gather(last, return_exceptions=True)
    await eventually(lambda: host.listener.connections == 1)
    await asyncio.sleep(0.05)
    assert links.choose(set()) is new
    assert host.listener.connections == 1
    model.gate.set()
    await links.close()
    await host.stop()
