"""What was wrong in a recording, as people labelled it: a column of its rows, or a file of windows."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.evaluation.scoring import Fault
from mesh.cli.table import header_of, nearest_of, opened, seconds
from mesh.errors import InvalidInput

_HEALTHY: Final = frozenset({"", "0", "0.0", "false", "no", "normal"})
_PLAIN: Final = frozenset({"1", "1.0", "true", "yes"})
_WINDOW: Final = ("asset", "from", "to")
KIND: Final = "labelled"
"""The kind of a fault whose label says no more than that there is one."""


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """When the file begins, in milliseconds since 1970, and the faults of its label column; none where none was asked for."""

    begins_ms: int
    faults: tuple[Fault, ...]


def labelled_rows(path: Path, asset: str | None, time: str, label: str | None) -> LabelledRows:
    """Read the columns `asset` (None: one machine), `time` and `label` of a CSV file.

    Neighbouring rows of an asset with the same label are one fault, until its next row. Empty, 0, false, no and normal mean
    healthy; 1, true and yes a fault without a name; anything else is the fault's kind. `InvalidInput` names a missing column.
    """
    found: list[tuple[str, int, str]] = []
    with opened(path) as text:
        reader = csv.reader(text)
        header = header_of(path, reader)
        places = [_place(path, header, name) for name in (asset, time, label)]
        for cells in filter(None, reader):
            name, moment, said = (None if at is None else cells[at].strip() for at in places)
            at_ms = round(seconds(moment or "") * 1e3)
            found.append((name or path.name.split(".")[0], at_ms, _kind(said or "")))
    found.sort(key=lambda row: row[1])
    return LabelledRows(found[0][1], _runs(found))


def labelled_windows(path: Path, assets: Sequence[str]) -> tuple[Fault, ...]:
    """Read a CSV file with the columns `asset`, `from`, `to` and, if there is one, `kind`, a fault in a line.

    `InvalidInput` names the line that is wrong, or an asset that is not one of `assets`.
    """
    faults = []
    with opened(path) as text:
        reader = csv.reader(text)
        at = {name: place for place, name in enumerate(header_of(path, reader))}
        for name in _WINDOW:
            _place(path, list(at), name)
        for cells in filter(None, reader):
            try:
                faults.append(_window({name: cells[place].strip() for name, place in at.items()}, assets))
            except (ValueError, IndexError) as error:
                raise InvalidInput(f"{path}:{reader.line_num}", str(error)) from None
    return tuple(sorted(faults, key=lambda fault: fault.from_ms))


def _window(line: Mapping[str, str], assets: Sequence[str]) -> Fault:
    if line["asset"] not in assets:
        raise ValueError(f"asset '{line['asset']}' has no readings{nearest_of(line['asset'], assets)}")
    from_ms, to_ms = (round(seconds(line[name]) * 1e3) for name in ("from", "to"))
    if to_ms <= from_ms:
        raise ValueError(f"to '{line['to']}' is not after from '{line['from']}'")
    return Fault(line["asset"], line.get("kind") or KIND, from_ms, to_ms)


def _runs(rows: Sequence[tuple[str, int, str]]) -> tuple[Fault, ...]:
    """Faults from rows (asset, time, kind or "") in the order of time."""
    began: dict[str, tuple[int, str]] = {}
    faults = []
    for asset, at_ms, kind in rows:
        since, before = began.get(asset, (at_ms, ""))
        if kind != before:
            if before:
                faults.append(Fault(asset, before, since, at_ms))
            began[asset] = (at_ms, kind)
    last_ms = rows[-1][1] + 1
    faults += [Fault(asset, kind, since, last_ms) for asset, (since, kind) in began.items() if kind]
    return tuple(sorted(faults, key=lambda fault: fault.from_ms))


def _kind(label: str) -> str:
    word = label.lower()
    if word in _HEALTHY:
        return ""
    return KIND if word in _PLAIN else label


def _place(path: Path, header: Sequence[str], name: str | None) -> int | None:
    if name is None:
        return None
    if name not in header:
        raise InvalidInput(str(path), f"has no column '{name}'{nearest_of(name, header)}")
    return header.index(name)
