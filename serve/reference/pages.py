"""Which pages there are, and what makes each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from serve.reference.commands import commands_page
from serve.reference.graphql import graphql_page
from serve.reference.grpc import grpc_page
from serve.reference.http import http_page
from serve.reference.keys import keys_page

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs"
PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "keys.md": keys_page,
        "commands.md": commands_page,
        "api.md": http_page,
        "grpc.md": grpc_page,
        "graphql-schema.md": graphql_page,
    }
)
"""File in `docs/` to what makes its text."""
