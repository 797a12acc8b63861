"""What tests ask of the machine that they run on."""

import contextlib
import os
import random
import shutil
import socket
from typing import NoReturn

import pytest

CHOSEN = (24_000, 32_000)
"""Below what Linux gives away (/proc/sys/net/ipv4/ip_local_port_range), above the ports that tests have of their own."""


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
    """A port of loopback that nobody has now, and that the system gives to nobody by itself.

    Whoever is to listen there may take seconds to start: of the ports that the system chooses from, one may be another's by then.
    """
    while True:
        port = random.SystemRandom().randrange(*CHOSEN)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
