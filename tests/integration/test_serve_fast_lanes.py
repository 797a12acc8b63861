"""The router's own ports: shared, drained, and named where they cannot be had."""

import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig
from mesh.settings import Settings
from serve.fast_lanes import FastLanes
from serve.http.app import MeshApp
from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import Limits, ServerFacts

HTTP, GRPC = 21315, 21316
SETTINGS = replace(Settings(), http_port=HTTP, grpc_port=GRPC)


@pytest.fixture
async def inference() -> AsyncIterator[Inference]:
    engine = Engine(EngineConfig({}, {}, {}, "none"), node="here", handles={})
    yield Inference(engine, ServerFacts("test", "0", {}))
    await engine.close()


def lanes_of(inference: Inference, settings: Settings = SETTINGS) -> FastLanes:
    return FastLanes(settings, MeshApp(inference).open(), InferenceService(inference), Limits())


async def live(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (
                await client.get(f"http://127.0.0.1:{port}/v2/health/live", timeout=60)
            ).status_code == 200
        except httpx.TransportError:
            return False


async def test_two_routers_share_the_ports_and_one_may_go(inference: Inference) -> None:
    first, second = lanes_of(inference), lanes_of(inference)
    await first.open()
    await second.open()
    await first.close(1)
    assert all([await live(HTTP) for _ in range(5)])
    await second.close(1)
    assert not await live(HTTP)


async def test_a_taken_port_is_named_and_the_other_serves(
    inference: Inference, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ray.serve"), "propagate", True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", GRPC))
        other.listen()
        lanes = lanes_of(inference)
        await lanes.open()
        assert f"MESH_GRPC_PORT={GRPC} cannot be had" in caplog.text
        assert await live(HTTP)
        await lanes.close(1)


async def test_an_empty_port_is_off(inference: Inference) -> None:
    lanes = lanes_of(inference, replace(SETTINGS, http_port=None, grpc_port=None))
    await lanes.open()
    assert not await live(HTTP)
    await lanes.close(1)
