"""The live view: a summary in, something to show out. Pure: what it shows depends on its arguments alone."""

from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.chain_view import chain_table, chain_words
from mesh.cli.figures import alarm, clock, count, milliseconds, pairs, rate
from mesh.telemetry.summary import Flow, Latency, ModelState, RouteRows, Summary

BREAKERS: Final = ("closed", "half open", "open")


@dataclass(frozen=True, slots=True)
class Board:
    """What the view shows beside the summary; `fed` is what our own feed has sent."""

    addresses: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    fed: int | None = None
    feed_waits: bool = False


def view(summary: Summary | None, board: Board) -> RenderableType:
    """The whole page; without a summary, what is known before the first one."""
    parts: list[RenderableType] = [_title(board)]
    parts += [Text(f"! {problem}", style="bold red") for problem in board.problems]
    if summary is None:
        parts += [Text("waiting for the first figures", style="dim"), _addresses(board)]
    else:
        # What a short terminal cuts off stands last.
        parts += [_stream(summary, board), Text(), _addresses(board)]
        if summary.chain is not None:
            parts += [_topics(summary), chain_table(summary.chain)]
        parts += [_routes(summary), _models(summary)]
        parts += [Text(_memory(summary), style="dim")] if summary.processes else []
    return Group(*parts, *(Text(note, style="dim") for note in board.notes))


def plain_line(summary: Summary | None, board: Board) -> str:
    """One line for a log."""
    if summary is None:
        return f"{clock(board.elapsed_s)}  waiting for the first figures"
    parts = [
        clock(board.elapsed_s),
        f"in {rate(summary.records)} ({summary.records.total:,})",
        f"out {rate(summary.answered)} ({summary.answered.total:,})",
        f"Kafka to Redis p50 {milliseconds(summary.stream.p50)} p95 {milliseconds(summary.stream.p95)}",
        f"errors {summary.errors.total:,}",
        f"dead letters {summary.dead_letters.total:,}",
        f"lag {count(summary.lag)}",
        "replicas " + (" ".join(f"{model.model} {model.replicas}" for model in summary.models) or "none yet"),
        "rows " + (" ".join(_route_words(route) for route in summary.routes) or "none yet"),
    ]
    parts += [chain_words(summary.chain)] if summary.chain is not None else []
    return "  ".join([*parts, *(f"! {problem}" for problem in board.problems)])


def last_line(summary: Summary | None, left_unread: int | None) -> str:
    """The figures of a drained mesh. `left` is what was read and given back uncommitted."""
    if summary is None:
        return "drained; the last figures could not be read"
    waiting = "" if not left_unread else f", not yet read: {left_unread:,}"
    return (
        f"drained: read {summary.records.total:,}, answered {summary.answered.total:,}, "
        f"dead-lettered {summary.dead_letters.total:,}, left uncommitted: {summary.left:,}{waiting}"
    )


def _title(board: Board) -> Text:
    return Text.assemble(
        ("HyperStream Mesh", "bold"),
        f"  up {clock(board.elapsed_s)}  ",
        ("k shows key metrics, Ctrl-C drains and ends", "dim"),
    )


def _stream(summary: Summary, board: Board) -> Table:
    grid = Table.grid(padding=(0, 2))
    for style in ("dim", "bold", "", "dim", "bold", ""):
        grid.add_column(style=style)
    left: tuple[tuple[str, Flow | Latency], ...] = (
        ("records in", summary.records),
        ("predictions out", summary.answered),
        ("requests", summary.requests),
        ("Kafka to Redis", summary.stream),
        ("HTTP and gRPC", summary.request),
    )
    right = (
        ("errors", alarm(summary.errors.total), ""),
        ("dead letters", alarm(summary.dead_letters.total), pairs(summary.dead_letter_reasons)),
        ("lag", count(summary.lag), f"lost before reading {summary.gaps:,}" if summary.gaps else ""),
        ("rows waiting", f"{summary.pending_rows:,}", _trouble(summary)),
        ("fed", count(board.fed), "waits for readers" if board.feed_waits else ""),
    )
    for (name, figure), cells in zip(left, right, strict=True):
        grid.add_row(name, *_figure(figure), *cells)
    return grid


def _figure(figure: Flow | Latency) -> tuple[str, str]:
    if isinstance(figure, Flow):
        return rate(figure), f"{figure.total:,}"
    return f"p50 {milliseconds(figure.p50)}", f"p95 {milliseconds(figure.p95)}"


def _topics(summary: Summary) -> Text:
    words = [
        f"{one.topic} in {rate(one.records)} ({one.records.total:,}) lag {count(one.lag)} dead {one.dead_letters:,}"
        for one in summary.topics
    ]
    return Text("\n".join(words), style="dim")


def _trouble(summary: Summary) -> str:
    retries = f"retries {pairs(summary.retries)}" if summary.retries else ""
    paused = f"paused partitions {pairs(summary.paused)}" if summary.paused else ""
    return "  ".join(word for word in (retries, paused) if word)


def _routes(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("endpoint", "route", "role", "answered by"):
        table.add_column(name)
    for name in ("rows/s", "share", "rows"):
        table.add_column(name, justify="right")
    total = sum(route.rows.per_s for route in summary.routes)
    for route in summary.routes:
        share = f"{route.rows.per_s / total:.0%}" if total else "-"
        numbers = (f"{route.rows.per_s:,.0f}", share, f"{route.rows.total:,}")
        table.add_row(route.endpoint, route.route, route.role, route.model, *numbers)
    return table


def _models(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    for name in ("replicas", "calls/s", "rows/s", "p50", "p95", "failed calls"):
        table.add_column(name, justify="right")
    table.add_column("breaker")
    table.add_column("as shadow")
    for model in summary.models:
        table.add_row(*_model_cells(model))
    return table


def _model_cells(model: ModelState) -> tuple[str, ...]:
    breaker = BREAKERS[min(model.breaker, 2)]
    return (
        model.model,
        str(model.replicas),
        f"{model.calls.per_s:,.0f}",
        f"{model.rows.per_s:,.0f}",
        milliseconds(model.call.p50),
        milliseconds(model.call.p95),
        f"{model.failed_calls.total:,}",
        breaker if breaker == "closed" else f"[bold red]{breaker}[/]",
        pairs(model.shadow_rows),
    )


def _addresses(board: Board) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for name, address in board.addresses:
        table.add_row(name, Text(address))
    return table


def _memory(summary: Summary) -> str:
    used: dict[str, int] = {}
    for process in summary.processes:
        used[process.process] = used.get(process.process, 0) + process.resident_bytes
    return "memory  " + "  ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in used.items())


def _route_words(route: RouteRows) -> str:
    return f"{route.endpoint}/{route.route}/{route.role} {route.rows.total:,}"
