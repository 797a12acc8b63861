"""`hyperstream token`: API tokens, given and taken on the database itself."""

import json as json_text
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mesh.errors import InvalidInput
from mesh.records.roles import ALIASES, ROLES, role_named
from mesh.spec.durations import read_duration
from mesh.stores.times import show_time

if TYPE_CHECKING:
    from mesh.records.tokens import Token

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="API tokens. Works on the database (`MESH_DATABASE_URL`), so the first one needs no other.",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document a line.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: the actor that the audit log will name.")],
    *,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "viewer",
    expires: Annotated[
        str | None, typer.Option(help="After this time, such as 12h or 90d [default: never]")
    ] = None,
) -> None:
    """Make a token. It is printed once, on standard output, and only its hash is kept.

    For example: `export MESH_TOKEN=$(hyperstream token create ann --role analyst --expires 90d)`
    """
    meant = role_named(role)
    if meant is None:
        raise InvalidInput("--role", f"'{role}' is not one of {', '.join((*ROLES, *ALIASES))}")
    ends = None if expires is None else _now() + _milliseconds(expires)
    from mesh.cli.records import local_records  # noqa: PLC0415 - SQLAlchemy, which other commands do without

    with local_records() as records:
        minted = records.tokens.create(records.user, name, meant, ends)
    sys.stderr.write(f"token {minted.token.id} of '{name}', {meant}; keep it, it is not shown again:\n")
    sys.stdout.write(f"{minted.text}\n")


@app.command("list")
def list_(*, json: Json = False) -> None:
    """Show all tokens, newest first: whose, which role, whether they are valid. Never the tokens themselves."""
    from mesh.cli.records import local_records  # noqa: PLC0415

    with local_records() as records:
        tokens = records.tokens.tokens()
    if json:
        for token in tokens:
            sys.stdout.write(json_text.dumps(_shown(token)) + "\n")
        return
    table = Table("id", "name", "role", "state", "created", "by", "expires", box=None)
    for token in tokens:
        shown = _shown(token)
        table.add_row(
            *(str(shown[key] or "") for key in ("id", "name", "role", "state", "created", "by", "expires"))
        )
    Console().print(table)


@app.command()
def revoke(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The token's id, from the list.")],
) -> None:
    """End a token, for good. A running mesh takes no more than two seconds to know."""
    from mesh.cli.records import local_records  # noqa: PLC0415

    with local_records() as records:
        token = records.tokens.revoke(records.user, identifier)
    sys.stdout.write(f"token {token.id} of '{token.actor}' is revoked\n")


def _milliseconds(text: str) -> int:
    try:
        return read_duration(text)
    except ValueError as error:
        raise InvalidInput("--expires", str(error)) from None


def _shown(token: "Token") -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.actor,
        "role": token.role,
        "state": token.state(_now()),
        "created": show_time(token.created_at),
        "by": token.created_by,
        "expires": None if token.expires_at is None else show_time(token.expires_at),
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
