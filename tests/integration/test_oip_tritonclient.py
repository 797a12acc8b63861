"""Unmodified tritonclient, in all its five forms, against the HTTP and gRPC edges."""

import queue

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from mesh.errors import DeadlineExceeded, Overloaded, Unavailable
from mesh.routing.types import RowFailure
from tests.fakes.echo_engine import RULES, EchoEngine, signature
from tests.fakes.edge_server import EdgeServer

MIXED = signature(
    ("f", "FP32", (-1, 3)), ("h", "FP16", (-1, 2)), ("t", "BYTES", (-1, 1)), ("n", "INT64", (-1,))
)
ARRAYS = {
    "f": np.float32([[1, 2.5, -3], [np.inf, 0, 1e-7]]),
    "h": np.float16([[0.5, 1], [2, 65504]]),
    "t": np.array([[b"caf\xc3\xa9"], [b""]], object),
    "n": np.int64([2**62, -1]),
}
FINITE = {**ARRAYS, "f": np.float32([[1, 2.5, -3], [4, 0, 1e-7]])}
DATATYPES = {"f": "FP32", "h": "FP16", "t": "BYTES", "n": "INT64"}


@pytest.fixture(scope="module")
def server():
    engine = EchoEngine(
        {
            "default": signature(("x", "FP32", (-1, 2))),
            "mixed": MIXED,
            "image": signature(("image", "FP32", (-1, 3, 640, 640))),
        },
        reads={"default": frozenset({"rollout"})},
    )
    server = EdgeServer(engine)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def calm(server):
    """Every test begins with an engine that answers."""
    engine = server.engine
    engine.failing, engine.raising, engine.delay_s, engine.unready = {}, None, 0.0, set()


def tensors(client, arrays, **how):
    inputs = []
    for name, array in arrays.items():
        tensor = client.InferInput(name, list(array.shape), DATATYPES.get(name, "FP32"))
        tensor.set_data_from_numpy(array, **how)
        inputs.append(tensor)
    return inputs


def assert_same(result, arrays):
    for name, array in arrays.items():
        np.testing.assert_array_equal(result.as_numpy(name), array)
        assert result.as_numpy(name).dtype == array.dtype
    np.testing.assert_array_equal(result.as_numpy("confidence"), np.full(2, 0.75, np.float32))


X = {"x": np.float32([[1, 2]])}


def test_http_infer_binary_both_ways(server):
    with http_client.InferenceServerClient(server.http) as client:
        result = client.infer("mixed", tensors(http_client, ARRAYS), request_id="r-1")
        assert_same(result, ARRAYS)
        response = result.get_response()
        assert (response["id"], response["model_name"], response["model_version"]) == ("r-1", "mixed", "1")
        assert response["parameters"]["mesh_rules"] == RULES
    assert list(server.engine.last_batch.ids) == ["r-1/0", "r-1/1"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_http_infer_in_json_and_binary(server, binary_in, binary_out):
    arrays = FINITE if binary_in else {name: FINITE[name] for name in ("f", "t", "n")}
    if not binary_in:
        arrays["h"] = FINITE["h"]  # tritonclient sends FP16 in binary only
    with http_client.InferenceServerClient(server.http) as client:
        inputs = [
            *tensors(http_client, {k: v for k, v in arrays.items() if k != "h"}, binary_data=binary_in),
            *tensors(http_client, {"h": arrays["h"]}),
        ]
        names = [*FINITE, "confidence"]
        outputs = [http_client.InferRequestedOutput(name, binary_data=binary_out) for name in names]
        result = client.infer("mixed", inputs, outputs=outputs)
        if not binary_out:  # from JSON, tritonclient leaves texts as texts
            assert result.as_numpy("t").tolist() == [["café"], [""]]
        assert_same(result, FINITE if binary_out else {name: FINITE[name] for name in ("f", "h", "n")})


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_http_compression_both_ways(server, algorithm):
    with http_client.InferenceServerClient(server.http) as client:
        result = client.infer(
            "mixed",
            tensors(http_client, ARRAYS),
            request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )
        assert_same(result, ARRAYS)


def test_http_parameters_and_headers_reach_the_rules(server):
    with http_client.InferenceServerClient(server.http) as client:
        client.infer(
            "default",
            tensors(http_client, X),
            parameters={
                "mesh_attributes": '{"rollout": true}',
                "mesh_keys": "user-1",
                "mesh_row_ids": "event-42",
            },
            headers={"x-mesh-variant": "canary"},
            timeout=5_000_000,
        )
    batch = server.engine.last_batch
    assert (list(batch.ids), list(batch.keys)) == (["event-42"], ["user-1"])
    assert list(batch.attributes["rollout"]) == [True]
    assert server.engine.last_variant == "canary"
    assert server.engine.last_deadline is not None


def test_http_everything_but_infer(server):
    with http_client.InferenceServerClient(server.http) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("default")
        assert client.is_model_ready("default", "1")
        assert not client.is_model_ready("nope")
        assert "statistics" in client.get_server_metadata()["extensions"]
        assert [t["name"] for t in client.get_model_metadata("mixed")["inputs"]] == list(ARRAYS)
        assert client.get_model_config("mixed")["input"][2]["data_type"] == "TYPE_STRING"
        client.infer("default", tensors(http_client, X))
        (stats,) = client.get_inference_statistics("default")["model_stats"]
        assert stats["inference_stats"]["success"]["count"] >= 1
        assert len(client.get_inference_statistics()["model_stats"]) == 3
        index = client.get_model_repository_index()
        assert [model["name"] for model in index] == ["default", "mixed", "image"]
        server.engine.unready.add("mixed")
        assert not client.is_server_ready()
        assert not client.is_model_ready("mixed")
        for unsupported in (lambda: client.load_model("default"), client.get_log_settings):
            with pytest.raises(InferenceServerException, match="not supported"):
                unsupported()


async def test_http_aio(server):
    async with http_aio.InferenceServerClient(server.http) as client:
        assert await client.is_server_live()
        assert (await client.get_server_metadata())["name"] == "edge-under-test"
        assert (await client.get_model_metadata("default"))["name"] == "default"
        assert await client.get_model_repository_index()
        assert_same(await client.infer("mixed", tensors(http_client, ARRAYS)), ARRAYS)
        result = await client.infer(
            "mixed", tensors(http_client, ARRAYS), response_compression_algorithm="gzip"
        )
        assert_same(result, ARRAYS)
        with pytest.raises(InferenceServerException, match="no model 'nope'"):
            await client.infer("nope", tensors(http_client, X))


def test_grpc_infer(server):
    with grpc_client.InferenceServerClient(server.grpc) as client:
        result = client.infer("mixed", tensors(grpc_client, ARRAYS), request_id="r-2")
        assert_same(result, ARRAYS)
        response = result.get_response()
        assert (response.id, response.model_name, response.model_version) == ("r-2", "mixed", "1")
        assert response.parameters["mesh_rules"].string_param == RULES
        assert not response.parameters["mesh_degraded"].bool_param
        chosen = client.infer(
            "mixed", tensors(grpc_client, ARRAYS), outputs=[grpc_client.InferRequestedOutput("n")]
        )
        assert [output.name for output in chosen.get_response().outputs] == ["n"]


def test_grpc_parameters_metadata_and_deadline(server):
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.infer(
            "default",
            tensors(grpc_client, X),
            parameters={
                "mesh_attributes": '{"rollout": true}',
                "mesh_keys": "user-1",
                "mesh_row_ids": '["event-42"]',
            },
            headers={"x-mesh-variant": "canary"},
            client_timeout=5.0,
        )
    batch = server.engine.last_batch
    assert (list(batch.ids), list(batch.keys)) == (["event-42"], ["user-1"])
    assert list(batch.attributes["rollout"]) == [True]
    assert server.engine.last_variant == "canary"
    assert server.engine.last_deadline is not None


def test_grpc_everything_but_infer(server):
    with grpc_client.InferenceServerClient(server.grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("default", "1")
        assert client.get_server_metadata().name == "edge-under-test"
        assert list(client.get_model_metadata("mixed").inputs[0].shape) == [-1, 3]
        assert (
            client.get_model_config("mixed", as_json=True)["config"]["input"][0]["data_type"] == "TYPE_FP32"
        )
        client.infer("default", tensors(grpc_client, X))
        (stats,) = client.get_inference_statistics("default").model_stats
        assert stats.inference_stats.success.count >= 1
        assert [m.name for m in client.get_model_repository_index().models] == ["default", "mixed", "image"]
        with pytest.raises(InferenceServerException, match="NOT_FOUND"):
            client.is_model_ready("nope")
        for unsupported in (
            lambda: client.load_model("default"),
            client.get_trace_settings,
            client.get_system_shared_memory_status,
        ):
            with pytest.raises(InferenceServerException, match="UNIMPLEMENTED"):
                unsupported()


async def test_grpc_aio_and_its_stream(server):
    async with grpc_aio.InferenceServerClient(server.grpc) as client:
        assert await client.is_server_live()
        assert_same(await client.infer("mixed", tensors(grpc_client, ARRAYS)), ARRAYS)

        async def requests():
            for number in range(20):
                name = "nope" if number == 7 else "default"
                yield {"model_name": name, "inputs": tensors(grpc_client, X), "request_id": str(number)}

        seen = []
        async for result, error in client.stream_infer(requests()):
            seen.append("failed" if error else result.get_response().id)
        assert seen == [str(number) if number != 7 else "failed" for number in range(20)]


def test_grpc_stream(server):
    replies: queue.Queue = queue.Queue()
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: replies.put((result, error)))
        for number in range(3):
            client.async_stream_infer("mixed", tensors(grpc_client, ARRAYS), request_id=str(number))
        client.async_stream_infer(
            "default", tensors(grpc_client, X), request_id="last", enable_empty_final_response=True
        )
        results = [replies.get(timeout=10) for _ in range(4)]
        client.stop_stream()
    assert [error for _, error in results] == [None] * 4
    assert [result.get_response().id for result, _ in results] == ["0", "1", "2", "last"]
    assert_same(results[0][0], ARRAYS)
    assert results[3][0].get_response().parameters["triton_final_response"].bool_param


@pytest.mark.parametrize(
    ("raised", "http", "grpc"),
    [
        (Unavailable("m", "away"), "503", "UNAVAILABLE"),
        (Overloaded("m", "full"), "503", "RESOURCE_EXHAUSTED"),
        (DeadlineExceeded("late"), "504", "DEADLINE_EXCEEDED"),
        (ZeroDivisionError("secret"), "500", "INTERNAL"),
    ],
)
def test_failures_have_their_status(server, raised, http, grpc):
    server.engine.raising = raised
    with (
        http_client.InferenceServerClient(server.http) as client,
        pytest.raises(InferenceServerException) as refused,
    ):
        client.infer("default", tensors(http_client, X))
    assert refused.value.status() == http
    with (
        grpc_client.InferenceServerClient(server.grpc) as client,
        pytest.raises(InferenceServerException) as failed,
    ):
        client.infer("default", tensors(grpc_client, X))
    assert failed.value.status() == f"StatusCode.{grpc}"
    assert "secret" not in refused.value.message() + failed.value.message()


def test_partial_answers_over_grpc(server):
    server.engine.failing = {1: RowFailure("m", "raised", "ValueError: poisoned")}
    with grpc_client.InferenceServerClient(server.grpc) as client:
        with pytest.raises(InferenceServerException, match="model 'm' failed on 1 row"):
            client.infer("mixed", tensors(grpc_client, ARRAYS))
        result = client.infer("mixed", tensors(grpc_client, ARRAYS), parameters={"mesh_partial": True})
    assert "poisoned" in result.get_response().parameters["mesh_errors"].string_param
    assert np.isnan(result.as_numpy("f")[1]).all()
    assert result.as_numpy("t").tolist() == [[b"caf\xc3\xa9"], [b""]]
    assert result.as_numpy("n").tolist() == [2**62, 0]


def test_a_large_tensor_over_both(server):
    image = np.random.default_rng(1).random((1, 3, 640, 640), np.float32)
    for client, address in ((http_client, server.http), (grpc_client, server.grpc)):
        with client.InferenceServerClient(address) as connection:
            result = connection.infer("image", tensors(client, {"image": image}))
            np.testing.assert_array_equal(result.as_numpy("image"), image)
