"""Kafka and Redis for the mesh: the ones that are set, the ones that run already, or our own."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mesh.embedded import kafka, redis_server
from mesh.embedded.ports import Port, PortTaken, is_listening
from mesh.errors import InvalidConfig, MeshError
from mesh.security.redacted import shown_url
from mesh.settings import Settings

Say = Callable[[str], None]

KAFKA_PORT: Final = 9092
REDIS_PORT: Final = 6379
WAIT_S: Final = 120.0
_AGAIN_S: Final = 1.0


class BackingAway(MeshError):
    """A Kafka or Redis that is set did not appear in time; the message names its variable."""


def provide_kafka(
    environ: Mapping[str, str], release: Path | None, folder: Path, say: Say, owned: ExitStack
) -> str:
    """The bootstrap address of a Kafka that answers. Servers that we start end with `owned`.

    `release` is a Kafka to run. Else a set KAFKA_BOOTSTRAP_SERVERS is waited for; else a Kafka that answers
    on the default port is used; else the demo broker starts there.
    """
    settings = Settings.from_environ(environ)
    local = f"127.0.0.1:{KAFKA_PORT}"
    if release is not None:
        say(f"starting Kafka from {release} on {local}")
        owned.callback(kafka.start_release(release, KAFKA_PORT, folder / "kafka").stop)
        return local
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        address = settings.kafka_bootstrap_servers
        _wait("Kafka", address, "KAFKA_BOOTSTRAP_SERVERS", lambda: kafka.answers(address), say)
        return address
    if is_listening(KAFKA_PORT):
        if not kafka.answers(local, 5.0):
            raise PortTaken(
                Port(KAFKA_PORT, "Kafka", "KAFKA_BOOTSTRAP_SERVERS"),
                "what listens there does not answer as Kafka; end it, or set KAFKA_BOOTSTRAP_SERVERS",
            )
        say(f"using the Kafka that runs on {local}")
        return local
    say(f"starting a demo broker on {local}; {kafka.DEMO_LIMITS}")
    topics = [settings.kafka_inference_topic, f"{settings.kafka_inference_topic}.dlq"]
    owned.callback(kafka.start_demo_broker(KAFKA_PORT, topics, folder).stop)
    return local


def provide_redis(environ: Mapping[str, str], folder: Path, say: Say, owned: ExitStack) -> str:
    """The URL of a Redis that answers, by the same rules with REDIS_URL."""
    settings = Settings.from_environ(environ)
    if environ.get("REDIS_URL"):
        host, port = _host_and_port(settings.redis_url)
        shown = f"{host}:{port}"
        _wait("Redis", shown, "REDIS_URL", lambda: _answers(settings.redis_url, host, port), say)
        return settings.redis_url
    if is_listening(REDIS_PORT):
        if not redis_server.answers("127.0.0.1", REDIS_PORT, 5.0):
            raise PortTaken(
                Port(REDIS_PORT, "Redis", "REDIS_URL"),
                "what listens there does not answer as Redis; end it, or set REDIS_URL",
            )
        say(f"using the Redis that runs on 127.0.0.1:{REDIS_PORT}")
    else:
        say(f"starting Redis on 127.0.0.1:{REDIS_PORT}, in memory only")
        owned.callback(redis_server.start_redis(REDIS_PORT, folder / "redis").stop)
    return f"redis://127.0.0.1:{REDIS_PORT}/0"


def _answers(url: str, host: str, port: int) -> bool:
    return (
        redis_server.answers_at(url) if url.startswith("rediss:") else redis_server.answers(host, port, 2.0)
    )


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or REDIS_PORT
    except ValueError:
        port = 0
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or not port:
        raise InvalidConfig("environment", 0, "REDIS_URL", f"'{shown_url(url)}' is no redis://host:port/db")
    return parts.hostname, port


def _wait(name: str, address: str, variable: str, ready: Callable[[], bool], say: Say) -> None:
    if ready():
        say(f"using {name} at {address} ({variable})")
        return
    say(f"waiting for {name} at {address} ({variable})")
    deadline = time.monotonic() + WAIT_S
    while not ready():
        if time.monotonic() > deadline:
            raise BackingAway(
                f"{name} at {address} did not answer within {WAIT_S:.0f} s: start it, correct {variable}, "
                "or unset it to run one of our own"
            )
        time.sleep(_AGAIN_S)
