"""A CSV file as records of the inference topic."""

import csv
import difflib
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

import msgspec

from mesh.cli.attributes import Setting, typed
from mesh.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what. Without `features`: every other column whose first value is a number."""

    features: tuple[str, ...] = ()
    timestamp: str | None = None
    key: str | None = None
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One record to send. `time` is seconds since 1970, where the table has a timestamp."""

    value: bytes
    key: bytes | None
    time: float | None


class Inference(msgspec.Struct, omit_defaults=True):
    """The record of the inference topic, as it is written."""

    input_id: str
    features: list[list[float]]
    model_id: str | None = None
    metadata: dict[str, object] = {}


@dataclass(slots=True)
class Skipped:
    """Lines that are no records, and why the first one is not."""

    count: int = 0
    first: str = ""

    def add(self, line: int, reason: str) -> None:
        """Count one line."""
        self.first = self.first or f"line {line}: {reason}"
        self.count += 1


class Gate(Protocol):
    """Says which rows are sent."""

    def passes(self, key: bytes | None, time_s: float, values: Sequence[float]) -> bool:
        """Whether the row of this key is; `time_s` is seconds since 1970."""
        ...


class RecordTable(Protocol):
    """What can be sent: a CSV file, or a history."""

    skipped: Skipped

    def check(self) -> tuple[str, ...]:
        """The feature columns."""
        ...

    def count(self) -> int:
        """About how many records there are."""
        ...

    def records(self, first_row: int = 0) -> Iterator[Record]:
        """Every record once; `first_row` is the number of the first one."""
        ...


@dataclass(slots=True)
class Table:
    """A CSV file, plain or gzip, with a header. Lines that are no records are counted in `skipped`.

    A `gate` needs a timestamp column.
    """

    path: Path
    columns: Columns
    settings: Sequence[Setting] = ()
    model: str | None = None
    skipped: Skipped = field(default_factory=Skipped)
    gate: Gate | None = None

    def count(self) -> int:
        """Lines after the header; reads the whole file once."""
        with opened(self.path) as file:
            return max(0, sum(1 for line in file if line.strip()) - 1)

    def check(self) -> tuple[str, ...]:
        """The feature columns; `InvalidInput` names a column that is not there, or an unreadable file."""
        with opened(self.path) as file:
            reader = csv.reader(file)
            return self._features(header_of(self.path, reader), next(reader, []))

    def records(self, first_row: int = 0) -> Iterator[Record]:
        """Every line once, as a record; `first_row` is the number of the first one."""
        features = self.check()
        with opened(self.path) as file:
            reader = csv.reader(file)
            header = header_of(self.path, reader)
            parse = _Parser(self, {name: index for index, name in enumerate(header)}, features)
            for row, cells in enumerate((cells for cells in reader if cells), first_row):
                try:
                    if (record := parse.record(row, cells)) is not None:
                        yield record
                except ValueError as error:
                    self.skipped.add(reader.line_num, str(error))

    def _features(self, header: Sequence[str], first: Sequence[str]) -> tuple[str, ...]:
        chosen = self.columns
        named = [chosen.timestamp, chosen.key, *chosen.attributes, *chosen.features]
        options = ["--timestamp", "--key", *["--attributes"] * len(chosen.attributes)]
        options += ["--features"] * len(chosen.features)
        for option, name in zip(options, named, strict=True):
            if name is not None and name not in header:
                raise InvalidInput(
                    option, f"{self.path.name} has no column '{name}'{nearest_of(name, header)}"
                )
        if chosen.features:
            return chosen.features
        taken = set(named)
        found = tuple(
            name for name, cell in zip(header, first, strict=False) if name not in taken and _is_number(cell)
        )
        if not found:
            raise InvalidInput("--features", f"{self.path.name} has no column of numbers; name the columns")
        return found


class _Parser:
    """Turns cells into records."""

    def __init__(self, table: Table, index: dict[str, int], features: Sequence[str]) -> None:
        self._table, self._width = table, len(index)
        self._features = [(name, index[name]) for name in features]
        columns = table.columns
        self._attributes = [(name, index[name]) for name in columns.attributes]
        self._key = None if columns.key is None else index[columns.key]
        self._time = None if columns.timestamp is None else index[columns.timestamp]
        self._encode = msgspec.json.Encoder().encode

    def record(self, row: int, cells: Sequence[str]) -> Record | None:
        """One record, None where the gate does not let it pass; ValueError says what is wrong with the line."""
        if len(cells) != self._width:
            raise ValueError(f"{len(cells)} cells where the header has {self._width}")
        table = self._table
        metadata: dict[str, object] = {name: typed(cells[index]) for name, index in self._attributes}
        metadata |= {one.name: one.value for one in table.settings if one.applies(row)}
        time = None
        if self._time is not None:
            metadata["timestamp"] = cells[self._time]
            time = seconds(cells[self._time])
        features = [_number(name, cells[index]) for name, index in self._features]
        key = None if self._key is None else cells[self._key].encode()
        if table.gate is not None and time is not None and not table.gate.passes(key, time, features):
            return None
        record = Inference(f"{table.path.name.split('.')[0]}-{row}", [features], table.model, metadata)
        return Record(self._encode(record), key, time)


def seconds(text: str) -> float:
    """A timestamp as seconds since 1970: ISO 8601 (UTC unless it says otherwise), or a number of seconds."""
    if _is_number(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"timestamp '{text}' is neither ISO 8601 nor a number of seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"column '{name}': '{text}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"column '{name}': '{text}' is not a finite number")
    return value


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def nearest_of(name: str, header: Sequence[str]) -> str:
    """What to write instead of a column that is not there, for the end of a message."""
    close = difflib.get_close_matches(name, header, 1)
    return f"; did you mean '{close[0]}'?" if close else f"; it has {', '.join(header)}"


def header_of(path: Path, reader: "Iterator[list[str]]") -> list[str]:
    """The names of the columns; `InvalidInput` where there are none or one is given twice."""
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise InvalidInput(str(path), "is empty: the first line must name the columns")
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise InvalidInput(str(path), f"names the column '{min(twice)}' more than once")
    return header


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, plain or .gz; `InvalidInput` where it cannot be read, also later."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (OSError, EOFError) as error:
        raise InvalidInput(str(path), getattr(error, "strerror", None) or str(error)) from None
    except (csv.Error, zlib.error) as error:  # a cell without end, or a packed file with a fault in it
        raise InvalidInput(str(path), f"cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(str(path), "is not UTF-8 text; a packed file must end in .gz") from None
