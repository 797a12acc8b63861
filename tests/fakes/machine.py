"""What tests ask of the machine that they run on."""

import os
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


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
