"""Where all calls need a token: rows and metadata, over HTTP and gRPC, from unmodified clients."""

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from mesh.records.bearer import Bearers
from mesh.records.tokens import Token, mint
from mesh.routing.types import Signature, TensorSpec
from serve.access.gate import Gate
from serve.access.guard import Guard
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.edge_server import EdgeServer

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("x", "FP32", (-1, 2)),))


@pytest.fixture(scope="module")
def edge():
    minted = mint("ann", "viewer", "root", 0)

    async def find(identifier: str) -> Token | None:
        return minted.token if identifier == minted.token.id else None

    gate = Gate(Bearers(find), "all", "dana")
    server = EdgeServer(
        EchoEngine({"default": SIGNATURE}),
        guarded=lambda app: Guard(app, gate, listener_local=True),
        admission=gate,
    )
    yield server, {"authorization": f"Bearer {minted.text}"}
    server.close()


def rows(module):
    asked = module.InferInput("x", [1, 2], "FP32")
    asked.set_data_from_numpy(np.ones((1, 2), np.float32))
    return [asked]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rows_and_metadata_need_a_token_and_health_does_not(edge, protocol):
    server, bearer = edge
    module = {"http": triton_http, "grpc": triton_grpc}[protocol]
    client = module.InferenceServerClient(getattr(server, protocol))
    assert client.is_server_live()
    for call in (
        lambda **more: client.infer("default", rows(module), **more),
        lambda **more: client.get_model_metadata("default", **more),
        client.get_model_repository_index,
    ):
        assert call(headers=dict(bearer)) is not None
        with pytest.raises(InferenceServerException, match="needs a token"):
            call()
        with pytest.raises(InferenceServerException, match="not known here"):
            call(headers={"authorization": f"Bearer hsm_0123456789ab_{'x' * 43}"})
    client.close()
