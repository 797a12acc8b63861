"""`hyperstream store compact` and `expire`."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console

from mesh.cli.features import View
from mesh.cli.stores import place_of

if TYPE_CHECKING:
    from mesh.stores.delta_tiers import Change

Keep = Annotated[
    Path | None,
    typer.Option(
        help="A CSV file, entity,from,to, of windows that stay whole [default: the view's kept_windows]"
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

app = typer.Typer(no_args_is_help=True, help="Age the history of features.")


@app.command()
def compact(*, view: View = "telemetry", keep: Keep = None, dry_run: DryRun = False) -> None:
    """Join the files of warm days, and thin out cold ones, a day at a time.

    Example: `hyperstream store compact --keep labels.csv --dry-run`
    """
    place = place_of(view)
    tiers, windows = place.tiers(), place.kept_windows(keep)
    _log("compact", view, dry_run=dry_run)
    _show(tiers.compact(_now(), windows, dry_run=dry_run), dry_run=dry_run)


@app.command()
def expire(*, view: View = "telemetry", keep: Keep = None, dry_run: DryRun = False) -> None:
    """Drop days past retention, but for windows that stay; then delete files that nothing has needed for a week.

    Example: `hyperstream store expire --dry-run`
    """
    place = place_of(view)
    tiers, windows = place.tiers(), place.kept_windows(keep)
    _log("expire", view, dry_run=dry_run)
    _show(tiers.expire(_now(), windows, dry_run=dry_run), dry_run=dry_run)


def _log(verb: str, view: str, *, dry_run: bool) -> None:
    """What takes rows away is in the audit log before it begins."""
    if dry_run:
        return
    from mesh.cli.records import local_records  # noqa: PLC0415 - SQLAlchemy, which other commands do without

    with local_records() as records:
        records.log(f"store.{verb}", f"view:{view}")


def _show(changes: "Iterable[Change]", *, dry_run: bool) -> None:
    """One line a day, as soon as it is done."""
    console, days, dropped = Console(), 0, 0
    for change in changes:
        day, days = change.day, days + 1
        dropped += day.rows - change.rows_left
        console.print(
            f"{np.datetime64(day.day, 'D')}  {change.action:8}  {day.files} files, {day.size_bytes / 1e6:,.1f} MB, "
            f"{day.rows:,} rows -> {change.rows_left:,}",
            highlight=False,
        )
    verb = "would change" if dry_run else "changed"
    console.print(f"{days} days {verb}, {dropped:,} rows dropped", highlight=False)


def _now() -> int:
    return time.time_ns() // 1_000_000
