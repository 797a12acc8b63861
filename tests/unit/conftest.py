"""Unit tests are pure: they open no connection and start no Ray."""

import socket
import sys

import pytest


@pytest.fixture(autouse=True)
def _no_network_and_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(
            "a unit test must not open a connection or start Ray; move it to tests/integration"
        )

    for method in ("connect", "connect_ex", "bind", "listen"):
        monkeypatch.setattr(socket.socket, method, refuse)
    if "ray" in sys.modules:
        monkeypatch.setattr("ray.init", refuse)
