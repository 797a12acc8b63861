"""What a console is started with."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

API: Final = "http://127.0.0.1:8080"
HOST: Final = "127.0.0.1"
PORT: Final = 8501


@dataclass(frozen=True, slots=True)
class Options:
    """Where the console listens, which API it asks, and Streamlit's file of secrets for OIDC, if any."""

    host: str = HOST
    port: int = PORT
    api: str = API
    secrets: str | None = None


def parsed(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """From the command line; what it leaves out, the environment says."""
    parser = argparse.ArgumentParser(
        prog="python -m serve.console", description="The console, until standard input closes."
    )
    parser.add_argument("--host", default=environ.get("MESH_CONSOLE_HOST") or HOST)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--api", default=environ.get("MESH_CONSOLE_API") or API)
    parser.add_argument("--secrets", default=environ.get("MESH_CONSOLE_SECRETS") or None)
    found = parser.parse_args(arguments)
    return Options(found.host, found.port, found.api, found.secrets)
