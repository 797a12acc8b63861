"""Mutual TLS on HTTP, gRPC and metrics, from real clients: who has no certificate of ours gets nowhere."""

import asyncio
import socket
import ssl
import threading
import time
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from mesh.cli.api import Api
from mesh.cluster.metrics_port import MetricsPort
from mesh.embedded.ports import is_listening
from mesh.errors import InvalidConfig, Unauthenticated
from mesh.records.bearer import Bearers
from mesh.records.tokens import Token, mint
from mesh.routing.types import Signature, TensorSpec
from mesh.security.tls import TlsFiles, server_context
from serve.access.gate import Gate
from serve.access.guard import Guard
from serve.access.whoami import whoami_router
from serve.console.api import Refused, whoami
from serve.console.api import client as console_client
from serve.http.lane import ConnectionLimits
from serve.oip.grpc_server import server_credentials
from tests.fakes.authority import Authority
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.edge_server import EdgeServer
from tests.fakes.machine import free_port

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("x", "FP32", (-1, 2)),))
ROW = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("theirs"), "strangers").client("ann", ["mesh:admin"])


@pytest.fixture(scope="module")
def files(ours):
    pair = ours.server()
    return TlsFiles(pair.certificate, pair.key, ours.file)


@pytest.fixture(scope="module")
def edge(files):
    minted = mint("eve", "viewer", "root", 0)

    async def find(identifier: str) -> Token | None:
        return minted.token if identifier == minted.token.id else None

    gate = Gate(Bearers(find), "all", "dana")
    server = EdgeServer(
        EchoEngine({"default": SIGNATURE}),
        routers=[whoami_router()],
        guarded=lambda app: Guard(app, gate, listener_local=False),
        admission=gate,
        tls=files,
    )
    yield server, {"authorization": f"Bearer {minted.text}"}
    server.close()


def context(ours, pair=None) -> ssl.SSLContext:
    trusting = ssl.create_default_context(cafile=ours.file)
    if pair is not None:
        trusting.load_cert_chain(pair.certificate, pair.key)
    return trusting


def test_a_certificate_of_ours_is_who_its_subject_names(edge, ours):
    server, bearer = edge
    with httpx.Client(verify=context(ours, ours.client("pump-7", ["mesh:analyst"])), timeout=60) as client:
        assert client.get(f"https://{server.http}/whoami").json() == {
            "actor": "pump-7",
            "role": "analyst",
            "by": "certificate",
        }
        assert client.post(f"https://{server.http}/v2/models/default/infer", json=ROW).status_code == 200
        # A token says more than the certificate of the machine that sends it.
        assert client.get(f"https://{server.http}/whoami", headers=bearer).json()["actor"] == "eve"


def test_no_certificate_and_one_of_strangers_end_in_the_handshake(edge, ours, strangers):
    server, bearer = edge
    for pair in (None, strangers):
        with httpx.Client(verify=context(ours, pair)) as client, pytest.raises(httpx.TransportError):
            client.get(f"https://{server.http}/whoami", headers=bearer)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_the_clear_and_old_tls_are_not_spoken(edge, ours):
    server, _ = edge
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{server.http}/whoami")
    old = context(ours, ours.client("old"))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with httpx.Client(verify=old) as client, pytest.raises(httpx.TransportError):
        client.get(f"https://{server.http}/whoami")


def test_a_handshake_that_does_not_end_is_cut_off(files):
    limits = ConnectionLimits(header_s=0.5, sweep_s=0.1)
    server = EdgeServer(EchoEngine({"default": SIGNATURE}), connections=limits, tls=files)
    with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
        began = time.monotonic()
        connection.settimeout(8)  # of the 10 s that others are given
        connection.sendall(b"\x16\x03\x01")
        assert connection.recv(100) == b""
        assert time.monotonic() - began < 3
    server.close()


async def listens(port):
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(is_listening, port):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def rows(module):
    asked = module.InferInput("x", [1, 2], "FP32")
    asked.set_data_from_numpy(np.ones((1, 2), np.float32))
    return [asked]


def grpc_client(server, ours, pair):
    return triton_grpc.InferenceServerClient(
        server.grpc.replace("127.0.0.1", "localhost"),
        ssl=True,
        root_certificates=ours.file,
        private_key=None if pair is None else pair.key,
        certificate_chain=None if pair is None else pair.certificate,
    )


def test_grpc_asks_for_the_certificate_too(edge, ours, strangers):
    server, _ = edge
    with grpc_client(server, ours, ours.client("pump-8")) as client:
        assert client.infer("default", rows(triton_grpc)).as_numpy("x").tolist() == [[1.0, 1.0]]
    for pair in (None, strangers):
        with grpc_client(server, ours, pair) as client, pytest.raises(InferenceServerException):
            client.infer("default", rows(triton_grpc), client_timeout=2)
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=2)


def test_an_unmodified_triton_client_speaks_it(edge, ours):
    server, _ = edge
    pair = ours.client("triton")
    client = triton_http.InferenceServerClient(
        f"localhost:{server.http_port}", ssl=True, ssl_context_factory=lambda: context(ours, pair)
    )
    assert client.infer("default", rows(triton_http)).as_numpy("x").tolist() == [[1.0, 1.0]]
    client.close()


def test_the_commands_show_a_certificate(edge, ours, monkeypatch):
    server, _ = edge
    pair = ours.client("ann", ["mesh:operate"])
    monkeypatch.setenv("MESH_TLS_CA", ours.file)
    monkeypatch.setenv("MESH_TLS_CLIENT_CERT", pair.certificate)
    monkeypatch.setenv("MESH_TLS_CLIENT_KEY", pair.key)
    assert b'"operator"' in Api(f"https://{server.http}").ask("GET", "/whoami")


def test_metrics_ask_for_the_certificate_and_the_token(files, ours):
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), free_port()

    async def admit(authorization: str | None) -> None:
        if authorization != "Bearer good":
            raise Unauthenticated("the metrics need a token here")

    async def serve() -> None:
        task = loop.create_task(
            MetricsPort("127.0.0.1", port, lambda: b"up 1\n", admit, server_context(files)).serve_forever()
        )
        await listens(port)
        ready.set()
        await stop.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(60)
    url, trusting = f"https://127.0.0.1:{port}/metrics", context(ours, ours.client("prometheus"))
    good = {"Authorization": "Bearer good"}
    with httpx.Client(verify=trusting, timeout=60) as client:
        assert client.get(url, headers=good).content == b"up 1\n"
        assert client.get(url).status_code == 401
    with httpx.Client(verify=context(ours), timeout=60) as client, pytest.raises(httpx.TransportError):
        client.get(url, headers=good)
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


@pytest.mark.parametrize("broken", ["certificate", "key", "client_ca"])
def test_files_that_cannot_be_used_are_named_and_nothing_is_served_in_the_clear(files, tmp_path, broken):
    (tmp_path / "broken.pem").write_text("no certificate")
    for path in (tmp_path / "broken.pem", tmp_path / "absent.pem"):
        wrong = TlsFiles(
            **{
                **{name: getattr(files, name) for name in ("certificate", "key", "client_ca")},
                broken: str(path),
            }
        )
        with pytest.raises(InvalidConfig, match=path.name):
            server_context(wrong)
    with pytest.raises(InvalidConfig, match="absent"):
        server_credentials(wrong)


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_console_trusts_the_authority_that_it_is_told(ours, monkeypatch, trusted):
    pair = ours.server()
    port = free_port()
    tls = server_context(TlsFiles(pair.certificate, pair.key))
    task = asyncio.create_task(MetricsPort("127.0.0.1", port, lambda: b"up 1\n", tls=tls).serve_forever())
    await listens(port)
    if trusted:
        monkeypatch.setenv("MESH_TLS_CA", ours.file)
    with console_client(f"https://127.0.0.1:{port}") as http:
        if trusted:
            assert (await asyncio.to_thread(http.get, "/metrics")).content == b"up 1\n"
        else:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await asyncio.to_thread(http.get, "/metrics")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("apart", [True, False])
def test_the_console_gets_past_the_handshake_by_its_certificate_and_in_by_a_persons_token(
    edge, ours, monkeypatch, tmp_path, apart
):
    server, bearer = edge
    pair = ours.client("console-host", ["mesh:viewer"])
    monkeypatch.setenv("MESH_TLS_CA", ours.file)
    with console_client(f"https://{server.http}") as http, pytest.raises(Refused, match="not reached"):
        whoami(http, None)
    if apart:
        monkeypatch.setenv("MESH_TLS_CLIENT_CERT", pair.certificate)
        monkeypatch.setenv("MESH_TLS_CLIENT_KEY", pair.key)
    else:
        both = tmp_path / "both.pem"
        both.write_text(Path(pair.certificate).read_text() + Path(pair.key).read_text())
        monkeypatch.setenv("MESH_TLS_CLIENT_CERT", str(both))
    with console_client(f"https://{server.http}") as http:
        assert whoami(http, None).by == "certificate"
        caller = whoami(http, bearer["authorization"].removeprefix("Bearer "))
        assert (caller.name, caller.role, caller.by) == ("eve", "viewer", "token")
        with pytest.raises(Refused, match="not known"):
            whoami(http, "hsm_0123456789ab_" + "x" * 43)


@pytest.mark.parametrize("variable", ["MESH_TLS_CA", "MESH_TLS_CLIENT_CERT", "MESH_TLS_CLIENT_KEY"])
def test_a_file_that_the_console_cannot_use_is_named(ours, monkeypatch, tmp_path, variable):
    pair = ours.client("console-host")
    for name, path in (
        ("MESH_TLS_CA", ours.file), ("MESH_TLS_CLIENT_CERT", pair.certificate), ("MESH_TLS_CLIENT_KEY", pair.key)
    ):  # fmt: skip
        monkeypatch.setenv(name, path)
    (tmp_path / "broken.pem").write_text("no certificate")
    for path in (tmp_path / "broken.pem", tmp_path / "absent.pem"):
        monkeypatch.setenv(variable, str(path))
        with pytest.raises(ValueError, match=f"{variable}.*{path.name}"):
            console_client("https://127.0.0.1:1")
