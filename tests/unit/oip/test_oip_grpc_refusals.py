"""What a gRPC client is told of a refusal must fit into the trailers of its call, or it is told of those instead."""

from urllib.parse import quote

import pytest
from tritonclient.grpc import service_pb2 as pb

from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.grpc_context import Context


@pytest.mark.parametrize("name", ["a" * 9000, "ä" * 9000, "a模" * 9000])
async def test_a_long_message_fits_into_the_trailers(name):
    context = Context()
    service = InferenceService(Inference(EchoEngine({}), ServerFacts("under-test", "0", {})))
    await service.ModelInfer(pb.ModelInferRequest(model_name=name), context)
    assert context.details.startswith(f"no model '{name[:50]}")
    assert 1000 < len(quote(context.details, safe=" '_.:;,")) < 5000
