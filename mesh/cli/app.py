"""`hyperstream`: the one entry point, and what every command shares: errors without a stack trace."""

import sys
from typing import Annotated

import typer

from mesh.cli import version
from mesh.cli.tree import MARKUP, CommandTree
from mesh.errors import MeshError

app = typer.Typer(
    cls=CommandTree,
    help="A model mesh for real-time streams. `hyperstream up` starts everything.",
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=version.show_own, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of `hyperstream` itself."""


def main() -> None:
    """Run the command line; what the mesh says no with is one message and exit status 1."""
    try:
        app()
    except MeshError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
