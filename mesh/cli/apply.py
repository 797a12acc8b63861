"""`hyperstream apply`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh.cli.api import api_at, asking
from mesh.cli.rules_client import CHANGE_S, Changed, RulesClient
from mesh.errors import InvalidConfig

MODELS, ROUTING = "models.yaml", "routing.yaml"


def apply(
    files: Annotated[
        list[Path], typer.Argument(help="Files such as routing.yaml and models.yaml, or a folder with both.")
    ],
    *,
    expected_version: Annotated[
        int | None, typer.Option(min=1, help="Refuse where the rules are another version by now.")
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option("--as", help="Who does it [default: whom MESH_TOKEN names, else the user here]"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where the mesh is [default: http://MESH_HOST:MESH_HTTP_PORT]")
    ] = None,
) -> None:
    """Change the rules or models of a running mesh: checked whole, taken by every router and reader, or refused.

    What a file holds is told by its keys: `models`, or `routes` and `endpoints`. A part that is not given stays as it is. New
    models are waited for. Exit status 1 where the change is refused, with every mistake by line and key.

    For example:

    - `hyperstream apply config/routing.yaml`
    - `hyperstream apply models.yaml routing.yaml --expected-version 7`
    """
    parts = read_parts(files)
    client = RulesClient(api_at(url, CHANGE_S))
    console = Console()
    with console.status("waiting for the mesh"):
        changed = client.change(parts, expected_version, asking(actor))
    console.print(said(changed), highlight=False, soft_wrap=True)


def read_parts(files: list[Path]) -> dict[str, tuple[Path, str]]:
    """`routing` and `models` with their files and texts. Raises `InvalidConfig` for what is neither, or given twice."""
    from mesh.spec.document import read_document  # noqa: PLC0415 - YAML is read here alone

    parts: dict[str, tuple[Path, str]] = {}
    for file in _spread(files):
        data = read_document(file).data
        keys = set(data) if isinstance(data, dict) else set()
        kind = "models" if "models" in keys else "routing" if keys & {"routes", "endpoints"} else None
        if kind is None:
            raise InvalidConfig(str(file), 1, "", "holds neither `models` nor `routes` or `endpoints`")
        if kind in parts:
            raise InvalidConfig(str(file), 0, "", f"is {kind}, as {parts[kind][0]} is: give one of them")
        parts[kind] = (file, file.read_text(encoding="utf-8-sig"))
    return parts


def _spread(files: list[Path]) -> list[Path]:
    """Folders as the files in them."""
    found: list[Path] = []
    for one in files:
        if not one.is_dir():
            found.append(one)
            continue
        inside = [one / name for name in (MODELS, ROUTING) if (one / name).exists()]
        if not inside:
            raise InvalidConfig(str(one), 0, "", f"has neither {MODELS} nor {ROUTING}")
        found += inside
    return found


def said(changed: Changed) -> str:
    """One line on what became of it."""
    one = changed.revision
    if not changed.changed:
        return f"rules {one.rules}, version {one.version}: so they were already"
    return (
        f"rules {one.rules}, version {one.version}: taken by {changed.taken} of {changed.engines} "
        "processes that answer rows"
    )
