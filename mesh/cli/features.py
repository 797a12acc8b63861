"""`hyperstream features get`, `history` and `parity`."""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from mesh.cli.feature_rows import Format, write_rows
from mesh.cli.stores import place_of
from mesh.errors import InvalidInput
from mesh.stores.lookup import online_row
from mesh.stores.parity_check import check_parity
from mesh.stores.shown import shown_online
from mesh.stores.times import parse_time

FOREVER: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""

View = Annotated[str, typer.Option(help="A view of features.yaml.")]


def get(
    entity: Annotated[str, typer.Argument(help="The entity: an asset's name.")],
    *,
    view: View = "telemetry",
) -> None:
    """Show the newest features of an entity, from Redis: values, times, age.

    Example: `hyperstream features get pump-7`
    """
    place = place_of(view)
    row = place.online(lambda store: online_row(store, place.view, entity))
    shown = shown_online(place.view, row, _now())
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")


def history(
    entity: Annotated[str, typer.Argument(help="The entity: an asset's name.")],
    *,
    view: View = "telemetry",
    start: Annotated[
        str | None, typer.Option("--from", help="Event time from which on [default: all there is]")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Event time up to which.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Only the row that stood at this time, within the view's ttl.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option(help="Only rows that were known by this time (created time).")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write the rows.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="A file, instead of the screen.", dir_okay=False)
    ] = None,
) -> None:
    """Show the features of an entity as they were, from its history.

    Times are ISO 8601 (UTC where no zone is given) or milliseconds since 1970.

    For example:

    - `hyperstream features history pump-7 --from 2026-01-02 --to 2026-01-03 --format csv`
    - `hyperstream features history pump-7 --as-of 2026-01-02T03:04:05 --known-at 2026-01-02T03:05:00`
    """
    if as_of is not None and (start is not None or end is not None):
        raise InvalidInput("--as-of", "asks for one row: leave out --from and --to")
    place = place_of(view)
    known = FOREVER if known_at is None else parse_time("--known-at", known_at)
    reader = place.reader()
    if as_of is not None:
        batches = iter([reader.row_at(entity, parse_time("--as-of", as_of), known)])
    else:
        low = 0 if start is None else parse_time("--from", start)
        high = FOREVER if end is None else parse_time("--to", end)
        batches = reader.history(entity, low, high, known)
    write_rows(place.view, batches, form, output)


def parity(
    *,
    view: View = "telemetry",
    sample: Annotated[int, typer.Option(min=1, max=100_000, help="Entities to compare, at most.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, help="Days of history to look back for them.")] = 2,
) -> None:
    """Compare the newest row of each entity in Redis with the newest in the history.

    Exit status 1 where an online row is missing, older, of another transform or has other values. Online may be ahead of the
    history, and rows may have expired after the view's ttl: neither is a fault.

    Example: `hyperstream features parity --sample 200`
    """
    place, console = place_of(view), Console()
    reader = place.reader()
    found = place.online(lambda store: check_parity(place.view, reader, store, sample, days, _now()))
    words = ", ".join(f"{count} {outcome}" for outcome, count in found.counts.items() if count)
    console.print(f"{len(found.compared)} entities compared: {words or 'none'}", highlight=False)
    if found.faults:
        table = Table(box=None, padding=(0, 2))
        for name in ("entity", "fault", "detail"):
            table.add_column(name)
        for fault in found.faults[:20]:
            table.add_row(fault.entity, fault.outcome, fault.detail)
        console.print(table)
        raise typer.Exit(1)


def _now() -> int:
    return time.time_ns() // 1_000_000
