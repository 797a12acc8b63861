"""`hyperstream review`."""

import sys
import urllib.parse
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from mesh.cli.api import Api, ApiFailed, api_at, asking
from mesh.cli.review_lines import figure_lines, item_line, one_lines

app = typer.Typer(rich_markup_mode="markdown")

Url = Annotated[str | None, typer.Option(help="Where the mesh is [default: http://MESH_HOST:MESH_HTTP_PORT]")]
Json = Annotated[bool, typer.Option("--json", help="JSON as the API gives it.")]
Item = Annotated[str, typer.Argument(help="The item's id.")]
Actor = Annotated[
    str | None,
    typer.Option("--as", help="Who does it [default: whoever MESH_TOKEN names, else the user's name here]"),
]
Note = Annotated[str, typer.Option(help="What there is to say about it.")]
Document = dict[str, Any]


@app.callback(invoke_without_command=True)
def review(context: typer.Context) -> None:
    """What waits for people's judgement: the queue, decisions, and how good mesh and people are.

    Goes over the HTTP API of a running mesh. Without a command, the queue.
    """
    if context.invoked_subcommand is None:
        queue()


@app.command()
def queue(
    *,
    state: Annotated[str | None, typer.Option(help="Only open, escalated or disputed.")] = None,
    source: Annotated[str | None, typer.Option(help="Only alert, unsure or audit.")] = None,
    asset: Annotated[str | None, typer.Option(help="Only of this machine, and all of its items.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many of the most urgent.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier list.")] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show what waits, most urgent first, a line each."""
    given = {"state": state, "source": source, "asset": asset, "limit": limit, "cursor": cursor}
    query = urllib.parse.urlencode({name: value for name, value in given.items() if value is not None})
    page = _document(api_at(url).ask("GET", f"/review/queue?{query}"))
    for item in page["items"]:
        _line(msgspec.json.encode(item).decode() if json else item_line(item))
    more = f"; more: hyperstream review queue … --cursor {page['cursor']}" if page["cursor"] else ""
    sys.stderr.write(f"{page['waiting']} wait{more}\n")


@app.command("next")
def next_(*, actor: Actor = None, json: Json = False, url: Url = None) -> None:
    """Hold the next item, and show what is needed to decide."""
    found = api_at(url).ask("POST", "/review/next", _body(actor=asking(actor)))
    if not found:
        sys.stderr.write("nothing waits for you\n")
        return
    _lines(found, json=json)


@app.command()
def show(item: Item, *, actor: Actor = None, json: Json = False, url: Url = None) -> None:
    """Show one item with its evidence."""
    _lines(_shown(api_at(url), item, asking(actor)), json=json)


@app.command()
def decide(
    item: Item,
    action: Annotated[
        str, typer.Argument(help="confirm, override, judge, cannot_say, skip, escalate or tag.")
    ],
    *,
    label: Annotated[str | None, typer.Option(help="anomaly or normal; needed to judge.")] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            help="Why, to override: a code of review.yaml, as sensor-fault, maintenance, too-sensitive, missed or other."
        ),
    ] = None,
    note: Note = "",
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    onset: Annotated[datetime | None, typer.Option(help="When the trouble began, in UTC.")] = None,
    actor: Actor = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Decide on an item, after taking it where you do not hold it.

    For example: `hyperstream review decide 45211b0cd908a4706fe6 override --reason sensor-fault --note "probe stuck"`
    """
    api, who = api_at(url), asking(actor)
    seen = _document(_shown(api, item, who))
    if seen["item"]["held_by"] is None:
        api.ask("POST", f"{_path(item)}/lease", _body(actor=who))
    said = _body(
        action=action,
        label=label,
        reason=reason,
        note=note,
        tags=tag or [],
        onset=None if onset is None else f"{onset.isoformat()}Z",
        evidence=seen["evidence"],
        actor=who,
    )
    _done(api.ask("POST", f"{_path(item)}/decide", said), json=json)


@app.command()
def undo(
    item: Item,
    *,
    decision: Annotated[
        str | None, typer.Option(help="Which one, as an operator [default: your last]")
    ] = None,
    note: Note = "",
    actor: Actor = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Take a decision back. It stays in the records; what rested on it is excluded."""
    said = _body(decision=decision, note=note, actor=asking(actor))
    _done(api_at(url).ask("POST", f"{_path(item)}/undo", said), json=json)


@app.command()
def stats(
    *,
    since: Annotated[str | None, typer.Option(help="RFC 3339 [default: 7 days ago]")] = None,
    until: Annotated[str | None, typer.Option(help="RFC 3339 [default: now]")] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """True and false positive rate with intervals, agreement, override rates, delays."""
    given = {"since": since, "until": until}
    query = urllib.parse.urlencode({name: value for name, value in given.items() if value is not None})
    found = api_at(url).ask("GET", f"/review/quality?{query}")
    for line in [found.decode()] if json else figure_lines(_document(found)["figures"]):
        _line(line)


def _shown(api: Api, item: str, who: str | None) -> bytes:
    query = "" if who is None else f"?actor={urllib.parse.quote(who)}"
    return api.ask("GET", f"{_path(item)}{query}")


def _path(item: str) -> str:
    return f"/review/items/{urllib.parse.quote(item, safe='')}"


def _body(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def _document(reply: bytes) -> Document:
    try:
        return msgspec.json.decode(reply, type=Document)
    except msgspec.DecodeError as error:
        raise ApiFailed(f"the reply is none of the mesh's: {error}; is --url right?") from None


def _lines(case: bytes, *, json: bool) -> None:
    for line in [case.decode()] if json else one_lines(_document(case)):
        _line(line)


def _done(reply: bytes, *, json: bool) -> None:
    if json:
        _line(reply.decode())
        return
    done = _document(reply)
    one = done["decision"]
    label = f" {one['after']}" if one["after"] else ""
    _line(f"{one['id']}  {one['action']}{label}  the item is {done['item']['state']}")


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
