"""`hyperstream features`: the newest of an entity, its history, and their upkeep."""

import typer

from mesh.cli import features, materialize

app = typer.Typer(no_args_is_help=True, help="Features of an entity: newest, history, upkeep.")
app.command()(features.get)
app.command()(features.history)
app.command()(materialize.materialize)
app.command()(features.parity)
