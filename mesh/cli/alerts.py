"""`hyperstream alerts`."""

import getpass
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console

from mesh.cli import environment
from mesh.cli.alert_client import AlertClient, shown
from mesh.cli.alert_lines import alert_line, alert_table
from mesh.cli.alert_watch import AlertWatch
from mesh.cli.api import ApiFailed

app = typer.Typer(rich_markup_mode="markdown")

_LOOK_S: Final = 1.0
_WATCHED: Final = 200
_SERVE_PORT: Final = 8000

Url = Annotated[str | None, typer.Option(help="Where the mesh is [default: http://MESH_HOST:MESH_HTTP_PORT]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document a line, as the API gives it.")]
Severity = Annotated[str | None, typer.Option(help="Only info, warning or critical.")]
Asset = Annotated[str | None, typer.Option(help="Only of this machine.")]
Rule = Annotated[str | None, typer.Option(help="Only of this rule; digest is what the budget grouped.")]
AlertId = Annotated[str, typer.Argument(help="The alert's id.")]
Actor = Annotated[
    str | None,
    typer.Option("--as", help="Who does it [default: whoever MESH_TOKEN names, else the user's name here]"),
]
Note = Annotated[str, typer.Option(help="What there is to say about it.")]


@app.callback(invoke_without_command=True)
def alerts(context: typer.Context) -> None:
    """What people should look at: list, acknowledge, resolve, watch. Without a command, list.

    Goes over the HTTP API of a running mesh.
    """
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(
    *,
    state: Annotated[str | None, typer.Option(help="Only open, acknowledged or resolved.")] = None,
    severity: Severity = None,
    asset: Asset = None,
    rule: Rule = None,
    since: Annotated[str | None, typer.Option(help="Opened at or after this time, RFC 3339.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many of the newest.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier list.")] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show alerts, newest first: a table in a terminal, a line each elsewhere.

    For example:

    - `hyperstream alerts list --state open --severity critical`
    - `hyperstream alerts list --asset pump-7 --since 2026-01-02T03:04:05Z --json`
    """
    filters = {
        "state": state, "severity": severity, "asset": asset, "rule": rule, "since": since, "limit": limit,
        "cursor": cursor,
    }  # fmt: skip
    found, following = _client(url).page(filters)
    _print(found, json=json)
    if following is not None:
        sys.stderr.write(f"there are more: hyperstream alerts list … --cursor {following}\n")


@app.command()
def ack(alert: AlertId, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None) -> None:
    """Acknowledge an open alert: somebody looks at it."""
    _act(alert, "ack", actor, note, json, url)


@app.command()
def resolve(
    alert: AlertId, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None
) -> None:
    """Resolve an alert, for good."""
    _act(alert, "resolve", actor, note, json, url)


@app.command()
def watch(
    *,
    severity: Severity = None,
    asset: Asset = None,
    rule: Rule = None,
    json: Json = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many lines.")] = None,
    url: Url = None,
) -> None:
    """Show what is not resolved, then every alert that opens or changes, until Ctrl-C.

    Looks once a second at the newest 200 that fit. A mesh that does not answer for a while is waited for.
    """
    client, known, left = _client(url), AlertWatch(), limit
    filters = {"severity": severity, "asset": asset, "rule": rule, "limit": _WATCHED}
    page, _ = client.page(filters)
    try:
        while True:
            news = known.news(page)[:left]
            _print_lines(news, json=json)
            left = None if left is None else left - len(news)
            if left == 0:
                return
            time.sleep(_LOOK_S)
            found = _looked(client, filters)
            page = page if found is None else found
    except KeyboardInterrupt:
        return


def _looked(client: AlertClient, filters: dict[str, str | int | None]) -> list[bytes] | None:
    """The page, or None, with the reason on stderr, where the mesh does not give one."""
    try:
        return client.page(filters)[0]
    except ApiFailed as error:
        sys.stderr.write(f"{error}\n")
        return None


def _client(url: str | None) -> AlertClient:
    settings = environment.settings()
    where = url or f"http://{settings.mesh_host}:{settings.http_port or _SERVE_PORT}"
    return AlertClient(where, token=environment.token())


def _act(alert: str, verb: str, actor: str | None, note: str, json: bool, url: str | None) -> None:
    if actor is None and environment.token() is None:
        actor = getpass.getuser()
    _print_lines([_client(url).act(alert, verb, actor, note)], json=json)


def _print(alerts: Sequence[bytes], *, json: bool) -> None:
    console = Console()
    if json or not console.is_terminal:
        _print_lines(alerts, json=json)
    else:
        console.print(alert_table([shown(alert) for alert in alerts]))


def _print_lines(alerts: Sequence[bytes], *, json: bool) -> None:
    for alert in alerts:
        sys.stdout.write((alert.decode() if json else alert_line(shown(alert))) + "\n")
    sys.stdout.flush()
