"""Which Kafka and Redis a launcher takes: the set one, the one that runs, its own, or none with a reason."""

import socket
from contextlib import ExitStack

import pytest

from mesh.cli import backing
from mesh.embedded import redis_server
from mesh.embedded.ports import PortTaken
from mesh.errors import InvalidConfig

KAFKA, REDIS = 21560, 21561


@pytest.fixture(autouse=True)
def _own_ports(monkeypatch):
    monkeypatch.setattr(backing, "KAFKA_PORT", KAFKA)
    monkeypatch.setattr(backing, "REDIS_PORT", REDIS)
    monkeypatch.setattr(backing, "WAIT_S", 0.1)
    monkeypatch.setattr(backing, "_AGAIN_S", 0.05)


def redis(environ, folder, said):
    with ExitStack() as owned:
        return backing.provide_redis(environ, folder, said.append, owned)


def broker(environ, folder, said):
    with ExitStack() as owned:
        return backing.provide_kafka(environ, None, folder, said.append, owned)


def test_where_nothing_is_set_and_nothing_runs_our_own_start(tmp_path):
    said = []
    assert redis({}, tmp_path, said) == f"redis://127.0.0.1:{REDIS}/0"
    assert broker({}, tmp_path, said) == f"127.0.0.1:{KAFKA}"
    assert "in memory only" in said[0]
    assert "5 MiB a partition" in said[1], "the demo broker's limits are printed"


def test_one_that_runs_on_the_default_port_is_used(tmp_path):
    said, running = [], redis_server.start_redis(REDIS, tmp_path)
    try:
        assert redis({}, tmp_path, said) == f"redis://127.0.0.1:{REDIS}/0"
        assert redis_server.answers("127.0.0.1", REDIS, 60.0), "it is not ours to end"
    finally:
        running.stop()
    assert said == [f"using the Redis that runs on 127.0.0.1:{REDIS}"]


@pytest.mark.parametrize(
    ("provide", "port", "variable"), [(redis, REDIS, "REDIS_URL"), (broker, KAFKA, "KAFKA_BOOTSTRAP_SERVERS")]
)
def test_something_else_on_the_default_port_is_named(tmp_path, provide, port, variable, monkeypatch):
    answers = redis_server.answers
    monkeypatch.setattr(redis_server, "answers", lambda host, number, _s: answers(host, number, 0.2))
    monkeypatch.setattr(backing.kafka, "answers", lambda _address, _s: False)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(PortTaken, match=rf"port {port} .*does not answer as .*set {variable}"),
    ):
        provide({}, tmp_path, [])


@pytest.mark.parametrize(
    ("provide", "environ"),
    [(redis, {"REDIS_URL": "redis://127.0.0.1:1/0"}), (broker, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})],
)
def test_one_that_is_set_is_waited_for_and_it_says_so(tmp_path, provide, environ):
    said, [variable] = [], list(environ)
    with pytest.raises(backing.BackingAway, match=variable):
        provide(environ, tmp_path, said)
    assert said[0].startswith("waiting for ")
    assert variable in said[0]


def test_a_wrong_redis_url_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match="REDIS_URL"):
        redis({"REDIS_URL": "http://127.0.0.1"}, tmp_path, [])
