"""`hyperstream console`, and the console that `hyperstream up` starts: a process of its own, which ends with ours."""

import http.client
import importlib.util
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console as Terminal

from mesh.cli import environment, interrupts
from mesh.cli.api import own_url
from mesh.embedded.child import Child
from mesh.embedded.ports import Port, check_free
from mesh.errors import InvalidConfig, MeshError
from mesh.settings import Settings

HOW: Final = "pip install 'hyperstream-mesh[console]'"
HOST: Final = "127.0.0.1"
START_S: Final = 30.0
END_S: Final = 6.0
_PACKAGES: Final = ("streamlit", "plotly", "httpx")
_MODULE: Final = "serve.console"


def missing() -> str | None:
    """A package that the console lacks; None where it can start. Looks without importing."""
    return next((name for name in _PACKAGES if importlib.util.find_spec(name) is None), None)


def address_of(host: str, port: int) -> str:
    """Where people find it."""
    return f"http://{host}:{port}"


def start(host: str, port: int, api: str, log: Path) -> Child:
    """Start it; it need not answer yet. Raises `MeshError` where packages are missing."""
    lacks = missing()
    if lacks is not None:
        raise MeshError(f"the console needs the package {lacks}: {HOW}")
    return Child.start("the console", _MODULE, ["--host", host, "--port", str(port), "--api", api], log)


def answers(url: str) -> bool:
    """Whether a console serves there."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1.0) as reply:  # noqa: S310 - made above
            return bool(reply.status == 200)
    except (OSError, http.client.HTTPException):  # it may be ending, or something else listens there
        return False


def beside(settings: Settings, log: Path, owned: ExitStack) -> list[tuple[str, str]]:
    """Start the console of a mesh that starts, until `owned` closes; the line that says where it is, or why it is not.

    A mesh without its console serves all the same, so nothing is raised.
    """
    port = settings.console_port
    if port is None:
        return []
    if missing() is not None:
        return [("console", f"not installed: {HOW}")]
    try:
        check_free(Port(port, "the console", "MESH_CONSOLE_PORT"))
    except MeshError as error:
        return [("console", f"not started: {error}")]
    child = start(HOST, port, own_url(settings), log)
    owned.callback(child.stop, END_S)
    return [("console", address_of(HOST, port))]


def console(
    *,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: MESH_CONSOLE_PORT, 8501]")
    ] = None,
    host: Annotated[str, typer.Option(help="Off 127.0.0.1 everybody signs in; put TLS in front.")] = HOST,
    url: Annotated[str | None, typer.Option(help="The API [default: this machine's mesh]")] = None,
) -> None:
    """Serve the console: triage, alerts, models, rollouts and the rest, in a browser, over a mesh that runs.

    For example:

    - `hyperstream console`
    - `hyperstream console --url http://mesh.example:8080 --port 9000`
    """
    settings = environment.settings()
    at = port or settings.console_port
    if at is None:
        raise InvalidConfig(
            "environment", 0, "MESH_CONSOLE_PORT", "is empty, which turns it off; give --port"
        )
    check_free(Port(at, "the console", "--port"))
    terminal, where = Terminal(), address_of(host, at)
    child = start(host, at, url or own_url(settings), Path(".run/console.log"))
    interrupts.arm()
    try:
        child.wait_until(lambda: answers(where), START_S)
        terminal.print(f"console   {where}", highlight=False)
        child.wait()
    except KeyboardInterrupt:
        interrupts.hold_off()
    finally:
        child.stop(END_S)
