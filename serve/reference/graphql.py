"""The GraphQL schema, from the typed classes that answer it."""

from typing import Final

from serve.graphql.limits import Limits
from serve.graphql.schema import build_schema
from serve.reference.markdown import made, page

_LEAD: Final = """\
How to ask, resume, and what happens to slow readers is in [graphql.md](graphql.md)."""


def graphql_page() -> str:
    """The page `docs/graphql-schema.md`."""
    lines = made("GraphQL schema", "`serve/graphql/`", _LEAD)
    return page([*lines, "```graphql", build_schema(Limits()).as_str().rstrip("\n"), "```"])
