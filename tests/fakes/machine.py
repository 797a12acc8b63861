"""What tests ask of the machine that they run on."""

import contextlib
import os
import random
import shutil
import socket
from typing import NoReturn

import pytest

PORTS = range(24_000, 32_000)
"""Below what Linux gives away (/proc/sys/net/ipv4/ip_local_port_range), above the ports that tests have of their own.

One that the system chooses may be another's by the time at which a server that starts asks for it.
"""


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


def free_port() -> int:
    """A port of loopback that nobody has now, and that the system gives to nobody by itself."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    pytest.fail(f"none of a hundred ports of {PORTS.start} to {PORTS.stop} is free")
