"""`hyperstream models`: versions, their gates and origins, and aliases."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mesh.cli import environment
from mesh.cli.learn import gate_line
from mesh.errors import InvalidInput
from mesh.registry import ModelVersion, Move, Registry
from mesh.registry.configured import open_registry
from mesh.stores.times import show_time

app = typer.Typer(no_args_is_help=True, help="Versions of learned models, and which one is the champion.")


@app.command("list")
def list_versions(
    name: Annotated[str | None, typer.Argument(help="A model [default: all]")] = None,
) -> None:
    """The versions of a model, or of all, with their aliases and what the gates said.

    Example: `hyperstream models list telemetry-anomaly`
    """
    registry = _registry()
    table = Table(box=None, padding=(0, 2))
    for column in ("model", "version", "aliases", "made", "by", "origin", "labels", "gates", "SHA-256"):
        table.add_column(column)
    for model in [name] if name else registry.names():
        aliases = registry.aliases(model)
        for number in reversed(registry.numbers(model)):
            version = registry.get(model, number)
            table.add_row(
                model,
                str(number),
                ", ".join(aliases.of(number)),
                show_time(version.made_at)[:19],
                version.made_by,
                version.origin,
                str(len(version.lineage.labels)),
                gates(version),
                version.digest[:12],
            )
    Console().print(table if table.row_count else "no versions yet: hyperstream learn anomaly")


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="NAME@3 or NAME@champion.")],
) -> None:
    """One version: its gates, what it was learned from, how aliases moved.

    Example: `hyperstream models show telemetry-anomaly@challenger`
    """
    name, version = _split(model)
    registry, console = _registry(), Console()
    found = registry.get(name, version)
    lineage = found.lineage
    lines = [
        f"{found.name} {found.number}, {found.origin} by {found.made_by} at {show_time(found.made_at)}",
        f"SHA-256 {found.digest}; features {found.features}",
        f"rows {lineage.rows:,} of {show_time(lineage.window[0])} to {show_time(lineage.window[1])}",
        f"{len(lineage.labels)} labels; made from version {lineage.parent or 'none'}",
        *(f"  {place}: offsets {low} to {high}" for place, (low, high) in sorted(lineage.offsets.items())),
        *(f"  {digest[:12]}  {file}" for file, digest in found.files.items()),
        "",
        *(gate_line(one) for one in found.gates),
    ]
    moves = [one for one in registry.aliases(name).moves if found.number in (one.before, one.after)]
    if moves:
        lines += ["", *(_move(one) for one in moves)]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def alias(
    model: Annotated[str, typer.Argument(help="NAME@champion, @challenger or @previous.")],
    version: Annotated[int, typer.Argument(min=1, help="The version that it shall point at.")],
    *,
    expected: Annotated[
        int | None,
        typer.Option(min=1, help="Only if it points at this version now [default: whatever it does]"),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    actor: Annotated[str | None, typer.Option(help="Who does this [default: the user's name]")] = None,
) -> None:
    """Move an alias. What was champion becomes `previous`; a version that failed a gate cannot become champion.

    For example:

    - `hyperstream models alias telemetry-anomaly@champion 4 --reason "better on valves"`
    - `hyperstream models alias telemetry-anomaly@champion 3 --expected 4 --reason "back"`
    """
    name, chosen = _split(model)
    registry = _registry()
    present = {str(key): number for key, number in registry.aliases(name).points.items()}.get(chosen)
    who = actor or os.environ.get("USER") or f"uid-{os.getuid()}"
    registry.move(name, chosen, version, expected=expected or present, actor=who, reason=reason)
    before = f"version {present}" if present else "nothing"
    Console().print(f"{model} is version {version} now, it was {before}", highlight=False)


def gates(version: ModelVersion) -> str:
    """`passed`, or which failed."""
    if not version.gates:
        return "none"
    failed = ", ".join(one.gate for one in version.failures)
    return f"failed {failed}" if failed else "passed"


def _move(move: Move) -> str:
    where = f"from {move.before or 'nothing'} to {move.after or 'nothing'}"
    why = f": {move.reason}" if move.reason else ""
    return f"{show_time(move.at)} {move.alias} {where} by {move.actor}{why}"


def _split(model: str) -> tuple[str, str]:
    name, at, version = model.partition("@")
    if not (name and at and version):
        raise InvalidInput("model", f"'{model}' is not NAME@VERSION or NAME@ALIAS, such as pumps@champion")
    return name, version


def _registry() -> Registry:
    return open_registry(Path(environment.settings().config_dir))
