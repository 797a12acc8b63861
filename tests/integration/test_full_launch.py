"""`hyperstream up` from the first line to the last: the first prediction, what the docs say of it, draining, ports, sockets."""

import asyncio
import ipaddress
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from docs_reader import lay_out, open_alerts, put_back
from docs_run import Session
from full_stack import (
    CHANNEL,
    DASHBOARD,
    END_S,
    GRPC,
    HTTP,
    LANE_GRPC,
    LANE_HTTP,
    METRICS,
    RAY_PORTS,
    START_S,
    Up,
    servers,
)
from ray_mesh import until
from stream_servers import ROOT, RealKafka, RealRedis

from tests.unit.docs.docs_fences import EVERY, RUN, Block

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

FEED = ("--rate", "200")
TOPICS = (
    "hyperstream.raw",
    "hyperstream.features",
    "hyperstream.alerts",
    "hyperstream.truth",
    "hyperstream.audit",
)
FIRST = (
    "docs/tutorials/first-mesh.md",
    "docs/tutorials/first-shift.md",
    "docs/tutorials/own-model.md",
    "docs/how-to/canary.md",
    "docs/rollouts.md",
    "docs/live-changes.md",
)
"""Pages that build upon each other; the others come after them."""
LAST = re.compile(r"drained: read ([\d,]+), answered ([\d,]+), dead-lettered 0, left uncommitted: 0")


@pytest.fixture(scope="module")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealKafka, RealRedis]]:
    with servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "up"


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (LANE_HTTP, "MESH_HTTP_PORT"),
        (LANE_GRPC, "MESH_GRPC_PORT"),
        (METRICS, "ML_PROMETHEUS_PORT"),
        (DASHBOARD, "RAY_DASHBOARD_PORT"),
        (HTTP, "http_options.port in "),
        (GRPC, "grpc_options.port in "),
        *((int(port), name) for name, port in RAY_PORTS.items()),
    ],
)
def test_a_taken_port_is_named_with_what_changes_it(folder: Path, port: int, said: str) -> None:
    with socket.create_server(("127.0.0.1", port)):
        up = Up(folder, "--no-feed", "--no-stream")
        up.process.wait(180)
        up._listening.join(60)
    assert up.process.returncode == 1
    assert f"port {port} " in up.said()
    assert said in up.said()
    assert "Traceback" not in up.said()


@pytest.fixture(scope="module")
def serving(
    backing: tuple[RealKafka, RealRedis], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Up, float]]:
    """The whole mesh with its feed, and the seconds to its first prediction; on the ports that were taken before.

    It runs in a copy of the project, as a reader of the docs has it: models of theirs are found there.
    """
    kafka, redis = backing
    kafka.create(*TOPICS, *(f"{topic}.dlq" for topic in TOPICS[:1]))
    project = tmp_path_factory.mktemp("launch") / "project"
    lay_out(project)
    with redis.client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(CHANNEL)
        subscription.get_message(timeout=60)
        up = Up(project, *FEED, config=project / "config", PYTHONPATH=f"{project}:{ROOT}")
        try:
            yield up, first(subscription, up)
        finally:
            up.kill()


def first(subscription: object, up: Up) -> float:
    """Seconds from the start of `up` to the first prediction."""
    while time.monotonic() < up.began + START_S:
        assert up.process.poll() is None, up.said()
        message = subscription.get_message(timeout=0.5)
        if message is not None:
            assert json.loads(message["data"])["predictions"]
            return time.monotonic() - up.began
    raise AssertionError(f"no prediction within {START_S:.0f} s:\n{up.said()}")


EXCEPTIONS = {
    "HAProxy's statistics": ("haproxy", lambda port: port == int(RAY_PORTS["RAY_SERVE_HAPROXY_STATS_PORT"])),
    "HAProxy's metrics": ("haproxy", lambda port: port == int(RAY_PORTS["RAY_SERVE_HAPROXY_METRICS_PORT"])),
    "Serve's fallback gRPC proxy": (
        "ray::ProxyActor",
        lambda port: port == int(RAY_PORTS["RAY_SERVE_FALLBACK_PROXY_GRPC_PORT"]),
    ),
    "gRPC of the router and ingest replicas for HAProxy": (
        "ray::ServeReplica:",
        lambda port: 40000 <= port <= 41000,
    ),
    "calls between Serve's replicas": ("ray::ServeReplica:", lambda port: port > 1024),
}
"""What listens beyond the loopback: the list of docs/security.md, by its names there."""


def test_nothing_listens_beyond_the_loopback_but_what_is_documented(serving: tuple[Up, float]) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    for name in EXCEPTIONS:
        assert name in page, f"{name} is not in docs/security.md"
    up, _ = serving
    up.wait_ready()
    wanted = {HTTP, GRPC, LANE_HTTP, LANE_GRPC, METRICS, DASHBOARD}
    until(lambda: wanted <= {port for _, _, port in listening(up, looks=1)}, 60)
    found = listening(up)
    beyond = [(who, address, port) for who, address, port in found if not is_loopback(address)]
    unexplained = [each for each in beyond if not any(fits(each, name) for name in EXCEPTIONS)]
    assert not unexplained, unexplained


def fits(listener: tuple[str, str, int], name: str) -> bool:
    who, _, port = listener
    program, ports = EXCEPTIONS[name]
    return program in who and ports(port)


def listening(up: Up, looks: int = 3) -> set[tuple[str, str, int]]:
    """Program, address and port of every listening TCP socket of everything that `up` started.

    Looked at more than once: HAProxy starts itself anew whenever a replica comes.
    """
    found = set()
    for _ in range(looks):
        for process in up.processes():
            try:
                who = " ".join(process.cmdline()[:4])
                for each in process.net_connections("tcp"):
                    if each.status == psutil.CONN_LISTEN:
                        found.add((who, each.laddr.ip, each.laddr.port))
            except psutil.Error:
                continue
        time.sleep(1)
    return found


def is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


@pytest.fixture(scope="module")
def sessions(
    serving: tuple[Up, float], backing: tuple[RealKafka, RealRedis], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Session, Session]]:
    """A reader in the mesh's own folder, and one who tries out elsewhere what the mesh shall not take in."""
    up, _ = serving
    asyncio.run(open_alerts(backing[1].url))
    apart = tmp_path_factory.mktemp("apart")
    lay_out(apart)
    environ = {name: value for name, value in up.environ.items() if name not in ("MESH_CONFIG", "PYTHONPATH")}
    readers = Session(project_of(up), environ), Session(apart, environ)
    yield readers
    for reader in readers:
        reader.end()


def project_of(up: Up) -> Path:
    return Path(up.environ["MESH_CONFIG"]).parent


PAGES = {
    page: [block for block in EVERY if block.page == page]
    for page in dict.fromkeys((*FIRST, *(one.page for one in EVERY)))
}


def has_commands(blocks: list[Block]) -> bool:
    return any(block.language in RUN and not block.notest for block in blocks)


def going_back() -> bool:
    """Whether a rollout that somebody gave up is still being taken off the rules."""
    reply = httpx.get(f"http://127.0.0.1:{LANE_HTTP}/rollouts", timeout=60)
    return any(one["state"] == "RollingBack" for one in reply.raise_for_status().json()["rollouts"])


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if has_commands(blocks)])
def test_what_a_page_tells_to_run_runs(sessions: tuple[Session, Session], page: str) -> None:
    mine, apart = sessions
    blocks = PAGES[page]
    if page.startswith("docs/how-to/") and not any("hyperstream apply" in block.text for block in blocks):
        mine = apart
    # One that the page before gave up: it is taken off the rules at the next look
    until(lambda: not going_back(), 120)
    if page not in ("docs/rollouts.md", "docs/live-changes.md"):  # they go on from where a canary is
        put_back(mine.folder)
    wrong = mine.page(blocks)
    assert not wrong, "\n\n".join(wrong)


def test_what_pages_leave_running_ends_well(sessions: tuple[Session, Session]) -> None:
    wrong = [*sessions[0].end(), *sessions[1].end()]
    took = sessions[0].took | sessions[1].took
    for command in sorted(took, key=took.__getitem__, reverse=True)[:30]:
        print(f"{took[command]:5.1f} s  {command}")
    assert not wrong, "\n\n".join(wrong)


def test_up_serves_soon_and_drains_fully(serving: tuple[Up, float]) -> None:
    up, first_s = serving
    assert first_s < START_S
    started = up.processes()
    assert len(started) > 10
    took = up.end()
    assert up.process.returncode == 0, up.said()
    assert took < END_S
    figures = LAST.match(up.lines[-1])
    assert figures, up.said()
    assert figures[1] == figures[2] != "0"
    _, alive = psutil.wait_procs(started, timeout=max(0.0, END_S - took))
    assert not alive, [one.cmdline() for one in alive]
