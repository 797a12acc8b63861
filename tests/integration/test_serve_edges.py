"""The router's edges on real Ray: Serve's ports and its own, HTTP and gRPC, status and metrics."""

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from ray_mesh import RunningMesh, until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize("port", ["http", "lane"])
def test_http_answers_on_both_ports(mesh_on_ray: RunningMesh, port: str) -> None:
    client = triton_http.InferenceServerClient(getattr(mesh_on_ray, port).removeprefix("http://"))
    given = triton_http.InferInput("x", ROWS.shape, "FP32")
    given.set_data_from_numpy(ROWS)
    answer = client.infer("default", [given])
    np.testing.assert_array_equal(answer.as_numpy("x"), ROWS)
    assert client.is_server_live()


@pytest.mark.parametrize("port", ["grpc", "grpc_lane"])
def test_grpc_answers_on_both_ports_without_metadata(mesh_on_ray: RunningMesh, port: str) -> None:
    client = triton_grpc.InferenceServerClient(getattr(mesh_on_ray, port))
    given = triton_grpc.InferInput("x", ROWS.shape, "FP32")
    given.set_data_from_numpy(ROWS)
    answer = client.infer("default", [given])
    np.testing.assert_array_equal(answer.as_numpy("x"), ROWS)
    assert client.is_model_ready("echo")
    assert client.get_model_metadata("echo", as_json=True)["inputs"][0]["name"] == "x"


@pytest.mark.parametrize("port", ["grpc", "grpc_lane"])
def test_grpc_streams_on_both_ports(mesh_on_ray: RunningMesh, port: str) -> None:
    answers: list[object] = []
    client = triton_grpc.InferenceServerClient(getattr(mesh_on_ray, port))
    given = triton_grpc.InferInput("x", ROWS.shape, "FP32")
    given.set_data_from_numpy(ROWS)
    client.start_stream(lambda result, error: answers.append(error or result))
    for _ in range(5):
        client.async_stream_infer("echo", [given])
    until(lambda: len(answers) == 5, 60)
    client.stop_stream()
    for answer in answers:
        np.testing.assert_array_equal(answer.as_numpy("x"), ROWS)


def test_a_grpc_refusal_keeps_its_status_through_serve(mesh_on_ray: RunningMesh) -> None:
    client = triton_grpc.InferenceServerClient(mesh_on_ray.grpc)
    given = triton_grpc.InferInput("x", ROWS.shape, "FP32")
    given.set_data_from_numpy(ROWS)
    with pytest.raises(triton_grpc.InferenceServerException) as refused:
        client.infer("nobody", [given])
    assert refused.value.status() == "StatusCode.NOT_FOUND"
    assert "nobody" in refused.value.message()


def test_status_names_models_replicas_and_rates(mesh_on_ray: RunningMesh) -> None:
    def status() -> dict[str, dict]:
        return httpx.get(f"{mesh_on_ray.http}/mesh/status", timeout=60).json()

    def told() -> set[str]:
        return {one["process"] for one in (status()["figures"] or {"processes": ()})["processes"]}

    until(lambda: told() >= {"router", "echo"} and status()["models"]["echo"]["replicas"] == 1, 20)
    now = status()
    assert now["models"]["broken"]["replicas"] == 0
    assert now["endpoints"]["default"] == {"ready": True, "models": ["echo"]}


def test_one_scrape_shows_all_processes(mesh_on_ray: RunningMesh) -> None:
    def page() -> str:
        answer = httpx.get(mesh_on_ray.metrics, timeout=60)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return answer.text

    until(lambda: 'mesh_model_replicas{model="echo",version="1"} 1' in page(), 20)
    assert 'process="router"' in page()
