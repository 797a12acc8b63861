"""`hyperstream check`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mesh.cli import environment
from mesh.spec import MeshConfig, load_mesh


def check(
    config: Annotated[
        Path | None, typer.Option(help="The folder with models.yaml and routing.yaml [default: config]")
    ] = None,
) -> None:
    """Validate the configuration: every mistake with file, line, key and what to write instead.

    Starts nothing and loads no model. Exit status 1 where there is a mistake.

    For example:

    - `hyperstream check`
    - `hyperstream check --config deploy/config`
    """
    settings = environment.settings()
    Console().print(overview(load_mesh(config or Path(settings.config_dir), settings)))


def overview(mesh: MeshConfig) -> Table:
    """The endpoints and models of a valid configuration."""
    table = Table(title=f"valid; rules {mesh.rules_hash}", title_justify="left", box=None, padding=(0, 2))
    for name in ("endpoint", "routes", "models"):
        table.add_column(name)
    for name, rules in mesh.tables.items():
        mark = f"{name} (default)" if name == mesh.default_endpoint else name
        routes = ", ".join(route.name for route in rules.routes)
        table.add_row(mark, routes, ", ".join(sorted(rules.models)))
    for name, model in mesh.models.items():
        table.add_row(name, "-", f"{model.runtime}, version {model.version}")
    return table
