"""Rows of the bench table: what was measured, against what, and whether the target was met."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

BUILD = Path(__file__).resolve().parents[1] / "build"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `ratio` is ours/peer; `target` is what it must reach, as text; `met` None means skipped."""

    id: str
    unit: str
    ours: float | None
    peer: str
    peer_value: float | None
    ratio: float | None
    target: str
    met: bool | None
    note: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)


def at_least(
    identity: str,
    unit: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    target: float,
    note: str = "",
) -> Row:
    """A row whose ratio of medians must be `target` or more. Empty samples mean that it could not run: not met."""
    samples = {"ours": list(ours), "peer": list(theirs)}
    if not ours or not theirs:
        return Row(
            identity, unit, None, peer, None, None, f">= {target}x", False, note or "could not run", samples
        )
    mine, other = statistics.median(ours), statistics.median(theirs)
    ratio = mine / other if other else float("inf")
    return Row(identity, unit, mine, peer, other, ratio, f">= {target}x", ratio >= target, note, samples)


def at_most_ratio(
    identity: str,
    unit: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    target: float,
    note: str = "",
) -> Row:
    """A row whose ratio of medians must be `target` or less (times, not rates)."""
    row = at_least(identity, unit, ours, peer, theirs, target, note)
    met = row.ratio is not None and row.ratio <= target
    return Row(
        row.id, unit, row.ours, peer, row.peer_value, row.ratio, f"<= {target}x", met, row.note, row.samples
    )


def at_most(identity: str, unit: str, ours: Sequence[float], target: float, note: str = "") -> Row:
    """A row with an absolute bound on the median."""
    if not ours:
        return Row(
            identity, unit, None, "", None, None, f"<= {target} {unit}", False, note or "could not run"
        )
    mine = statistics.median(ours)
    return Row(
        identity,
        unit,
        mine,
        "",
        None,
        None,
        f"<= {target} {unit}",
        mine <= target,
        note,
        {"ours": list(ours)},
    )


def reaches(identity: str, unit: str, ours: float, target: float, note: str = "") -> Row:
    """A row with an absolute value that must be `target` or more."""
    return Row(identity, unit, ours, "", None, None, f">= {target} {unit}", ours >= target, note)


def within(identity: str, unit: str, ours: float, low: float, high: float, note: str = "") -> Row:
    """A row with an absolute value between two others, both included."""
    return Row(identity, unit, ours, "", None, None, f"{low} to {high}", low <= ours <= high, note)


def skipped(identity: str, unit: str, reason: str) -> Row:
    """A row that this machine cannot measure, and why."""
    return Row(identity, unit, None, "", None, None, "", None, reason)


def save(rows: Sequence[Row]) -> Path:
    """Merge `rows` by id into build/bench.json."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "bench.json"
    kept = {row["id"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    kept |= {row.id: asdict(row) for row in rows}
    path.write_text(json.dumps(list(kept.values()), indent=1) + "\n")
    return path


HEADINGS = ("id", "ours", "peer", "theirs", "ratio", "target", "met", "note")


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


def markdown(rows: Sequence[Row]) -> str:
    """The table as it stands in docs/benchmarks.md."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    """Medians, with the least and the most of the samples in parentheses."""
    return (
        row.id,
        "-" if row.ours is None else f"{_number(row.ours)} {row.unit}{_spread(row.samples.get('ours', ()))}",
        row.peer,
        "-" if row.peer_value is None else f"{_number(row.peer_value)}{_spread(row.samples.get('peer', ()))}",
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        row.target,
        {True: "yes", False: "NO", None: "skipped"}[row.met],
        row.note,
    )


def _spread(samples: Sequence[float]) -> str:
    return f" ({_number(min(samples))}-{_number(max(samples))})" if len(samples) > 1 else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
