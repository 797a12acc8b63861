"""What tests ask of the machine that they run on."""

import contextlib
import os
import random
import shutil
import socket
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip on a machine that lacks something; fail in CI, which must not."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """The path of a program, of which Debian has a package."""
    found = shutil.which(name)
    if found is None:
        missing(f"no {name} on the PATH (Debian: apt-get install {package})")
    return found


PORTS = range(24_000, 32_000)
"""Below those that Linux takes for connections: a port of theirs may be gone by the time at which a server asks for it."""


def free_port() -> int:
    """A port of loopback that nobody has now."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    pytest.fail(f"none of a hundred ports of {PORTS.start} to {PORTS.stop} is free")
