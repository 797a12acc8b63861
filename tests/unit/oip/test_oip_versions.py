"""A version that is hosted beside another is counted by its own name, however it was asked for."""

import json

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from serve.http.app import MeshApp
from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, ServerFacts
from tests.fakes.echo_engine import EchoEngine, signature
from tests.fakes.grpc_context import Context

X = signature(("x", "FP32", (-1, 2)))


def served() -> Inference:
    engine = EchoEngine({"anomaly": X, "anomaly@2": X}, confident=False)
    facts = {"anomaly": EndpointFacts("1"), "anomaly@2": EndpointFacts("2")}
    return Inference(engine, ServerFacts("under-test", "0", facts))


def counts(inference: Inference) -> dict[str, tuple[int, int]]:
    named = {name: inference.statistics.of(name) for name in inference.mesh.endpoints}
    return {name: (found.successes, found.failures) for name, found in named.items()}


@pytest.mark.parametrize("data", [[1, 2], [1]])
async def test_over_http(data):
    inference = served()
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": data}]})
    await MeshApp(inference).infer.respond("anomaly", "2", {}, body.encode())
    good = len(data) == 2
    assert counts(inference) == {"anomaly": (0, 0), "anomaly@2": (int(good), int(not good))}


async def test_over_grpc():
    inference = served()
    request = pb.ModelInferRequest(model_name="anomaly", model_version="2")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.zeros((1, 2), np.float32).tobytes())
    await InferenceService(inference).ModelInfer(request, Context())
    assert counts(inference) == {"anomaly": (0, 0), "anomaly@2": (1, 0)}
