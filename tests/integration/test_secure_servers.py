"""Kafka with SASL_SSL, SCRAM and client certificates, and Redis with TLS and ACLs: real servers, with our own clients."""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stream_servers import RealKafka

from ingest.redis_link import RedisAddress, RedisError, RedisLink
from ingest.resp import command
from mesh.cli.outbox import KafkaAway, Outbox, Readers
from mesh.embedded.kafka import answers
from mesh.embedded.redis_server import answers_at
from mesh.security.redacted import shown_url
from tests.fakes.authority import Authority
from tests.fakes.machine import free_port, program

PORT = 23190
EMPTY = '""'


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    broker = RealKafka(tmp_path_factory.mktemp("kafka") / "one", PORT, "--secure")
    broker.start()
    yield json.loads((broker.folder / "cluster.json").read_text())
    broker.kill()


def set_client(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"KAFKA_CLIENT_{name}", value)


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_kafka_by_password_over_tls(kafka, monkeypatch, mechanism):
    where = kafka["bootstrap_sasl_ssl"]
    set_client(
        monkeypatch, SECURITY_PROTOCOL="SASL_SSL", SASL_MECHANISM=mechanism, SASL_USERNAME=kafka["user"],
        SASL_PASSWORD=kafka["password"], SSL_CA_LOCATION=kafka["ca"],
    )  # fmt: skip
    assert answers(where, 60)
    partition, _ = Outbox(where, f"secure-{mechanism}").send_now(b"{}")
    readers = Readers(where, "ours", f"secure-{mechanism}", [partition])
    assert sum(readers.unread()) == 1
    readers.close()
    monkeypatch.setenv("KAFKA_CLIENT_SASL_PASSWORD", "wrong")
    assert not answers(where, 3)
    with pytest.raises(KafkaAway):
        Outbox(where, f"secure-{mechanism}").partitions()


@pytest.mark.kafka
def test_kafka_by_certificate(kafka, monkeypatch):
    where = kafka["bootstrap_mtls"]
    set_client(monkeypatch, SECURITY_PROTOCOL="SSL", SSL_CA_LOCATION=kafka["ca"])
    assert not answers(where, 3)
    set_client(
        monkeypatch, SSL_CERTIFICATE_LOCATION=kafka["client_cert"], SSL_KEY_LOCATION=kafka["client_key"]
    )
    assert answers(where, 60)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Authority]]:
    server = program("redis-server", "redis-server")
    folder = tmp_path_factory.mktemp("redis")
    ours = Authority(folder)
    pair = ours.server()
    port = free_port()
    options = {
        "port": "0", "tls-port": str(port), "tls-cert-file": pair.certificate, "tls-key-file": pair.key,
        "tls-ca-cert-file": ours.file, "tls-auth-clients": "yes", "save": "", "bind": "127.0.0.1", "dir": str(folder),
    }  # fmt: skip
    users = (
        "user default off",
        "user mesh on >secret ~ml:* &ml:* +ping +select +xadd +publish +auth +client",
    )
    (folder / "redis.conf").write_text(
        "\n".join((*(f"{name} {value or EMPTY}" for name, value in options.items()), *users))
    )
    process = subprocess.Popen([server, str(folder / "redis.conf")], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port, ours
    process.terminate()
    process.wait(60)


async def written(url: str, key: bytes) -> None:
    link = await RedisLink.open(RedisAddress.from_url(url))
    try:
        await asyncio.wait_for(link.send(command(b"XADD", key, b"*", b"a", b"1"), 1), 60)
    finally:
        link.close()


async def test_redis_over_tls_as_a_user_of_an_acl(redis: tuple[int, Authority], tmp_path: Path):
    port, ours = redis
    pair = ours.client("ingest")
    options = f"ssl_ca_certs={ours.file}&ssl_certfile={pair.certificate}&ssl_keyfile={pair.key}"
    url = f"rediss://mesh:secret@localhost:{port}/0?{options}"
    await written(url, b"ml:stream:inference:log")
    assert await asyncio.to_thread(answers_at, url, 60.0)
    for wrong, key in (
        (url, b"other"),  # a key that the user may not write
        (url.replace("secret", "wrong"), b"ml:log"),
        (url.replace("mesh:secret@", ""), b"ml:log"),
        (f"rediss://mesh:secret@localhost:{port}/0?ssl_ca_certs={ours.file}", b"ml:log"),  # no certificate
        (f"rediss://mesh:secret@localhost:{port}/0", b"ml:log"),  # whose authority nobody knows
        (f"redis://mesh:secret@localhost:{port}/0", b"ml:log"),  # in the clear
    ):
        with pytest.raises(RedisError):
            await written(wrong, key)
    assert shown_url(url) == f"rediss://mesh:***@localhost:{port}/0"
