"""`hyperstream doctor` and `hyperstream support-bundle`."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mesh.cli import environment
from mesh.cli.addresses import ports, serve_ports
from mesh.cli.api import own_url
from mesh.cli.launch import serve_document
from mesh.cli.metrics import MetricsAway, own_metrics, scrape
from mesh.cli.ray_variables import RAY_VARIABLES
from mesh.doctor import bundle
from mesh.doctor.examination import examine
from mesh.doctor.finding import Finding
from mesh.embedded.ports import Port
from mesh.errors import InvalidConfig, InvalidInput, MeshError
from mesh.redaction import redact
from mesh.settings import Settings

_MARKS: Final = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[bold red]problem[/]"}
_STATUS_S: Final = 3.0
SERVE_CONFIG: Final = Path("serve_config.yaml")


def doctor(
    serve_config: Annotated[Path, typer.Option(help="The Ray Serve config, for its ports.")] = SERVE_CONFIG,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check ports, versions, Kafka, Redis, disk, memory, clock, GPU, Ray's variables and the configuration.

    Says what to do about each finding. Changes nothing and starts nothing. Exit status 1 where there is a problem.

    For example:

    - `hyperstream doctor`
    - `hyperstream doctor --json`
    """
    found = findings(serve_config)
    if json:
        sys.stdout.write(
            orjson.dumps([asdict(one) for one in found], option=orjson.OPT_INDENT_2).decode() + "\n"
        )
    else:
        Console().print(table(found))
    if any(one.level == "problem" for one in found):
        raise typer.Exit(1)


def support_bundle(
    output: Annotated[
        Path | None, typer.Option(help="The archive to write [default: hyperstream-support-TIME.tar.gz here]")
    ] = None,
    serve_config: Annotated[Path, typer.Option(help="The Ray Serve config.")] = SERVE_CONFIG,
) -> None:
    """Pack what somebody who helps has to know: findings, configuration, metrics, status, the ends of logs.

    Secrets are replaced by `***`: values of variables and keys whose names say so, passwords in URLs, tokens, keys. Look at it
    before you send it: what looks like ordinary text cannot be recognised.

    For example: `hyperstream support-bundle --output /tmp/help.tar.gz`
    """
    path = output or Path(f"hyperstream-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    try:
        names = bundle.write_bundle(path, _entries(serve_config))
    except OSError as error:
        raise InvalidInput("--output", f"{path}: {error.strerror or error}") from None
    for name in names:
        sys.stdout.write(f"  {name}\n")
    sys.stdout.write(f"written to {path}: look at it before you send it\n")


def findings(serve_config: Path) -> list[Finding]:
    """What the checks find in this process's environment."""
    return examine(
        os.environ,
        lambda settings: _ports(settings, serve_config),
        RAY_VARIABLES,
        running=answers(),
    )


def table(found: list[Finding]) -> Table:
    """One line a finding, and what to do about it."""
    shown = Table(box=None, padding=(0, 2))
    for name in ("check", "", "found", "what to do"):
        shown.add_column(name)
    for one in found:
        shown.add_row(one.check, _MARKS[one.level], escape(one.what), escape(one.do))
    return shown


def _ports(settings: Settings, file: Path) -> list[Port]:
    document = serve_document(file, True, telemetry=True)
    environ = {**RAY_VARIABLES, **os.environ}
    return ports(settings, serve_ports(str(file), document, environ), str(file), environ)


def answers() -> bool:
    """Whether a mesh runs here; one that wants a token does too."""
    try:
        return bool(scrape(f"{own_url(environment.settings())}/mesh/status", _STATUS_S))
    except MetricsAway as error:
        return error.refused
    except MeshError:
        return False


def _status() -> str | None:
    """What the mesh says of itself; None where none answers."""
    try:
        settings = Settings.from_environ(os.environ)
        return scrape(f"{own_url(settings)}/mesh/status", _STATUS_S)
    except MeshError:
        return None


def _metrics() -> str:
    try:
        settings = Settings.from_environ(os.environ)
        return scrape(own_metrics(settings), _STATUS_S)
    except (MetricsAway, InvalidConfig) as error:
        return f"# {error}\n"


def configuration() -> Iterator[bundle.Entry]:
    """The files, or why they are not known: who asks for help may have a variable that is wrong."""
    try:
        folder = Path(os.environ.get("MESH_CONFIG") or environment.settings().config_dir)
    except InvalidConfig as error:
        yield bundle.Entry("config/not-found.txt", f"{error}\n")
        return
    yield from bundle.configuration(folder)


def _entries(serve_config: Path) -> Iterator[bundle.Entry]:
    found = [asdict(one) for one in findings(serve_config)]
    yield bundle.Entry("doctor.json", orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    yield bundle.environment(os.environ)
    yield bundle.Entry("status.json", _status() or "null")
    yield bundle.Entry("metrics.txt", _metrics())
    yield from configuration()
    if serve_config.exists():
        yield bundle.Entry(serve_config.name, redact(serve_config.read_text(encoding="utf-8")))
    ray = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray/session_latest/logs"
    yield from bundle.logs({"run": Path(".run"), "ray": ray, "serve": ray / "serve"})
