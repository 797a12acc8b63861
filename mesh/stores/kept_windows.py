"""Windows that stay whole in every tier, from a CSV file: `entity,from,to`, with a header and times as people write them."""

import csv
from pathlib import Path
from typing import Final

from mesh.errors import InvalidInput
from mesh.stores.rows import Window
from mesh.stores.times import parse_time

MAX_WINDOWS: Final = 100_000
_COLUMNS: Final = ("entity", "from", "to")


def read_kept_windows(path: Path) -> tuple[Window, ...]:
    """The windows of a file. `InvalidInput` names the line, the column and what would be right."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InvalidInput(
                    str(path), f"has no column {', '.join(missing)}: begin with entity,from,to"
                )
            windows = [_window(f"{path}:{rows.line_num}", row) for row in rows]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"cannot be read: {error}") from None
    if len(windows) > MAX_WINDOWS:
        raise InvalidInput(
            str(path), f"holds {len(windows):,} windows: join those that overlap, {MAX_WINDOWS:,} are taken"
        )
    return tuple(windows)


def _window(place: str, row: dict[str, str | None]) -> Window:
    entity, start, end = (row[name] or "" for name in _COLUMNS)
    if not entity:
        raise InvalidInput(f"{place} entity", "is empty: name the entity whose rows stay")
    window = Window(entity, parse_time(f"{place} from", start), parse_time(f"{place} to", end))
    if window.start > window.end:
        raise InvalidInput(f"{place} from", f"'{start}' is after to, '{end}'")
    return window
