"""Requests over gRPC keep a bounded number of bytes, over all calls of a process."""

import asyncio

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from mesh.errors import Overloaded
from mesh.routing.types import Signature, TensorSpec
from serve.oip.grpc_service import InferenceService
from serve.oip.held import Held, Holding
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, Limits, ServerFacts
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.grpc_context import Context
from tests.fakes.waiting import turns

SPEC = TensorSpec("x", "FP32", (-1, 250))
KIB = 1024
"""A request has 1,000 bytes of values, and a little around them."""


def service(held_bytes):
    engine = EchoEngine({"default": Signature((SPEC,), (SPEC,))})
    facts = ServerFacts("under-test", "0", {"default": EndpointFacts(has_confidence=True)})
    return engine, InferenceService(Inference(engine, facts, Limits(held_bytes=held_bytes)))


def request(name="default"):
    asked = pb.ModelInferRequest(
        model_name=name, raw_input_contents=[np.zeros((1, 250), np.float32).tobytes()]
    )
    asked.inputs.add(name="x", datatype="FP32", shape=[1, 250])
    return asked


async def requests(*asked):
    for one in asked:
        yield one


def test_what_is_too_much_is_refused_and_keeps_nothing():
    held = Held(100)
    with Holding(held) as first, Holding(held) as second:
        first.take("default", 60)
        with pytest.raises(Overloaded, match="'default' is overloaded: too many large requests"):
            second.take("default", 41)
        second.take("default", 40)
        first.end()
        second.take("default", 60)
        assert held.size == 100
    assert held.size == 0


@pytest.mark.parametrize("method", ["ModelInfer", "infer_bytes"])
async def test_calls_past_the_bound_are_refused_while_others_are_under_way(method):
    engine, ours = service(2 * KIB)
    engine.delay_s = 0.05
    asked = request() if method == "ModelInfer" else request().SerializeToString()
    contexts = [Context() for _ in range(4)]
    await asyncio.gather(*(getattr(ours, method)(asked, context) for context in contexts))
    codes = [getattr(context, "code", None) for context in contexts]
    assert codes[0] is None
    assert [code and code.name for code in codes].count("RESOURCE_EXHAUSTED") in (2, 3)
    assert ours._held.size == 0
    context = Context()
    await getattr(ours, method)(asked, context)
    assert not hasattr(context, "code"), "there is room again"


async def test_a_stream_whose_replies_nobody_takes_keeps_its_share_until_it_ends():
    _, ours = service(4 * KIB)
    replies = ours.ModelStreamInfer(requests(*[request()] * 10), Context())
    first = await anext(replies)
    assert not first.error_message
    await turns()
    assert 3 * KIB < ours._held.size <= 4 * KIB
    context = Context()
    await ours.ModelInfer(request(), context)
    assert context.code.name == "RESOURCE_EXHAUSTED", "another call is told to come back"
    rest = [reply async for reply in replies]
    refused = [reply for reply in rest if reply.error_message]
    assert len(rest) == 9
    assert 6 <= len(refused) <= 7
    assert all("too many large requests" in reply.error_message for reply in refused)
    assert ours._held.size == 0


async def test_refused_requests_of_a_stream_and_one_that_is_closed_early_leave_nothing():
    engine, ours = service(64 * KIB)
    replies = ours.ModelStreamInfer(requests(request("nope"), request(), request()), Context())
    assert [bool(reply.error_message) async for reply in replies] == [True, False, False]
    assert ours._held.size == 0
    engine.delay_s = 30
    engine.raising = None
    replies = ours.ModelStreamInfer(requests(request("nope"), *[request()] * 5), Context())
    assert (await anext(replies)).error_message
    await turns()
    assert ours._held.size > 5 * 1000
    await replies.aclose()
    assert ours._held.size == 0
