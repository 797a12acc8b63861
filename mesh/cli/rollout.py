"""`hyperstream rollout`."""

import sys
from typing import Annotated, Final

import typer

from mesh.cli.api import api_at, asking
from mesh.cli.rollout_client import RolloutClient, ShownDetail, ShownRollout
from mesh.cli.rules_client import CHANGE_S

app = typer.Typer(rich_markup_mode="markdown", no_args_is_help=True)

_SERVE_PORT: Final = 8000

Url = Annotated[str | None, typer.Option(help="Where the mesh is [default: http://MESH_HOST:MESH_HTTP_PORT]")]
Json = Annotated[bool, typer.Option("--json", help="The JSON document that the API gives.")]
Name = Annotated[str, typer.Argument(help="The rollout: the name of its file in config/rollouts.")]
Actor = Annotated[str | None, typer.Option("--as", help="Who does it [default: the user's name here]")]
Note = Annotated[str, typer.Option(help="Why; the audit log keeps it.")]


@app.callback()
def rollout() -> None:
    """Let a candidate take a model's place step by step, by evidence. Goes over the HTTP API of a running mesh."""


@app.command()
def start(name: Name, *, actor: Actor = None, json: Json = False, url: Url = None) -> None:
    """Start the rollout that `config/rollouts/NAME.yaml` declares; a candidate from the registry is hosted first.

    For example:

    - `hyperstream rollout start pump`
    """
    # What hosts a model answers when it serves, here as with `apply`.
    text, shown = RolloutClient(api_at(url, CHANGE_S)).start(name, asking(actor))
    _print(text if json else line(shown))


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="The rollout; all of them where it is not given.")
    ] = None,
    *,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show where rollouts are; of one also every metric and what the step still lacks."""
    client = _client(url)
    if name is not None:
        text, detail = client.one(name)
        _print(text if json else page(detail))
        return
    text, rollouts, plans = client.all()
    if json:
        _print(text)
        return
    for one in rollouts:
        _print(line(one))
    unused = sorted(set(plans) - {one.name for one in rollouts})
    if unused:
        _print(f"not started: {', '.join(unused)}")
    if not rollouts and not unused:
        _print("no rollouts: declare one in config/rollouts/NAME.yaml (docs/rollouts.md)")


@app.command()
def pause(name: Name, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None) -> None:
    """Stop where it is; the candidate keeps its share, and failure still rolls back."""
    _act(name, "pause", actor, note, json, url)


@app.command()
def resume(name: Name, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None) -> None:
    """Go on with the step that it is paused in."""
    _act(name, "resume", actor, note, json, url)


@app.command()
def approve(name: Name, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None) -> None:
    """Approve, where an approval is waited for."""
    _act(name, "approve", actor, note, json, url)


@app.command()
def abort(name: Name, *, actor: Actor = None, note: Note = "", json: Json = False, url: Url = None) -> None:
    """Put everything back as it was; after a promotion, as long as the old model is kept warm."""
    _act(name, "abort", actor, note, json, url)


def line(one: ShownRollout) -> str:
    """A rollout in one line."""
    state = f"{one.state} ({one.pause})" if one.pause else one.state
    where = f"step {one.step + 1} of {len(one.steps)} ({one.steps[one.step].kind})"
    text = (
        f"{one.name}: {state}, {where}, {one.candidate} answers {one.candidate_percent:g}% of {one.endpoint} "
        f"instead of {one.primary}"
    )
    text += f"; {one.reason}" if one.reason else ""
    return text + (f"; trouble: {one.trouble}" if one.trouble else "")


def page(detail: ShownDetail) -> str:
    """A rollout with its metrics."""
    windows = sum(detail.evidence.windows.values())
    rows = detail.evidence.rows.get("candidate", 0)
    lines = [line(detail.rollout), f"  {windows:,} windows compared, {rows:,} rows answered by the candidate"]
    for metric in detail.evidence.metrics:
        kind = "dry run" if metric.dry_run else "critical" if metric.critical else "not critical"
        lines.append(f"  {metric.name} ({metric.test}, {kind}): {metric.verdict}; {metric.reason}")
    lines += [f"  still needs {missing}" for missing in detail.missing]
    return "\n".join(lines)


def _client(url: str | None) -> RolloutClient:
    return RolloutClient(api_at(url))


def _act(name: str, wish: str, actor: str | None, note: str, json: bool, url: str | None) -> None:
    text, shown = _client(url).act(name, wish, asking(actor), note)
    _print(text if json else line(shown))


def _print(text: bytes | str) -> None:
    sys.stdout.write((text.decode() if isinstance(text, bytes) else text) + "\n")
    sys.stdout.flush()
