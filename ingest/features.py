"""The JSON of a record's features → rows of one input tensor, checked: shape, type, range, finiteness.

Narrow single rows of many records are parsed as one JSON array into one buffer, whose structure is then proved from
the text: simdjson flattens what it reads, so a ragged or nested record is found by its brackets and commas. Wide rows
are parsed one by one: joined, they fall out of the processor's cache.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec
import numpy as np
import simdjson

from ingest.envelope import BAD_VALUE
from ingest.nested import FeaturesError, Refusal, nested_rows
from ingest.record import Features, RejectKind
from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.types import TensorSpec

NARROW_BYTES: Final = 2_048
"""Records whose features are shorter than this on average are parsed together."""

_OPEN, _CLOSE, _COMMA = b"[],"
_decode = msgspec.json.Decoder().decode
_BufferType = Literal["d", "i", "u"]
_BUFFER_OF: Final[Mapping[str, tuple[_BufferType, type[np.generic]]]] = {
    "f": ("d", np.float64),
    "i": ("i", np.int64),
    "u": ("u", np.uint64),
}


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of records that fit into one tensor.

    `chosen` are the records' places, None for all of them; `rows_of` is intp, the rows of each, None for one each.
    """

    rows: np.ndarray
    chosen: Sequence[int] | None = None
    rows_of: np.ndarray | None = None


class RowReader:
    """Reads the rows of one input. Not thread-safe: its parser is reused."""

    def __init__(self, spec: TensorSpec) -> None:
        self._name = spec.name
        self._datatype = spec.datatype
        self._dtype = NUMPY_OF[spec.datatype]
        self._dims = spec.shape[1:]
        fixed = all(size != -1 for size in self._dims)
        self._width = math.prod(self._dims) if self._dims and fixed else None
        self._flat = self._dtype.kind in _BUFFER_OF and (self._width is not None or self._dims == (-1,))
        self._of_type, self._wide = _BUFFER_OF.get(self._dtype.kind, ("d", np.float64))
        self._parser = simdjson.Parser()

    def read(self, raws: Sequence[Features]) -> tuple[list[Block], list[tuple[int, Refusal]]]:
        """The rows of many records: blocks of equal shape, and the refused records with their places."""
        together = self._together(raws) if self._flat else None
        if together is not None:
            return [Block(together)], []
        blocks, places = self._singles(raws) if self._flat and self._width else ([], range(len(raws)))
        arrays: dict[tuple[int, ...], tuple[list[int], list[np.ndarray]]] = {}
        refused: list[tuple[int, Refusal]] = []
        for place in places:
            try:
                rows = self.one(bytes(raws[place]))
            except FeaturesError as error:
                # A kept exception would keep its frames, and in them the document that blocks the parser.
                refused.append((place, error.refusal))
                self._parser = simdjson.Parser()
            else:
                chosen, found = arrays.setdefault(rows.shape[1:], ([], []))
                chosen.append(place)
                found.append(rows)
        blocks += [_block(chosen, found, len(raws)) for chosen, found in arrays.values()]
        return blocks, refused

    def one(self, raw: bytes) -> np.ndarray:
        """The rows of one record, [k, *dims]; raises `FeaturesError`."""
        rows = self._one_flat(raw) if self._flat else None
        if rows is None:
            rows = self._converted(nested_rows(self._name, self._datatype, raw))
        return self._checked(rows)

    def _together(self, raws: Sequence[Features]) -> np.ndarray | None:
        """[records, width] where every record holds exactly one good row, else None."""
        lengths = np.fromiter(map(len, raws), np.intp, len(raws))
        if len(raws) < 2 or lengths.mean() > NARROW_BYTES:
            return None
        text = b"[" + b",".join(raws) + b"]"
        width = self._width if self._width is not None else bytes(raws[0]).count(b",") + 1
        try:
            parsed = cast("simdjson.Array", self._parser.parse(text))
            flat = np.frombuffer(parsed.as_buffer(of_type=self._of_type), self._wide)
            del parsed  # while it lives, the parser takes nothing else
        except (ValueError, TypeError, RuntimeError):
            return None  # one record at least is refused; reading them one by one finds which, and why
        if flat.size != len(raws) * width or not _single_rows(text, lengths, width):
            return None
        try:
            rows = self._converted(flat.reshape(len(raws), width))
        except FeaturesError:
            return None
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            return None
        return rows.reshape(len(raws), *self._dims) if self._width is not None else rows

    def _singles(self, raws: Sequence[Features]) -> tuple[list[Block], Sequence[int]]:
        """A block of the records that are one good row each, and the places of all others."""
        width, of_type, wide = self._width or 0, self._of_type, self._wide
        parse = cast("Callable[[Features], simdjson.Array]", self._parser.parse)
        rows = np.empty((len(raws), width), self._dtype if self._dtype.kind == "f" else wide)
        good = np.zeros(len(raws), bool)
        with np.errstate(over="ignore"):
            for i, raw in enumerate(raws):
                if isinstance(raw, memoryview) or _is_one_row(raw):
                    try:
                        flat = np.frombuffer(parse(raw).as_buffer(of_type=of_type), wide)
                    except (ValueError, TypeError, RuntimeError):
                        continue
                    if flat.size == width:
                        rows[i] = flat
                        good[i] = True
        if rows.dtype.kind == "f":
            good &= np.isfinite(rows).all(axis=1)
        else:
            limits = np.iinfo(self._dtype)
            good &= ((rows >= limits.min) & (rows <= limits.max)).all(axis=1)
        whole = bool(good.all())
        if not good.any():
            return [], range(len(raws))
        kept = (rows if whole else rows[good]).astype(self._dtype, copy=False)
        block = Block(kept.reshape(len(kept), *self._dims), None if whole else np.flatnonzero(good).tolist())
        return [block], np.flatnonzero(~good).tolist()

    def _one_flat(self, raw: bytes) -> np.ndarray | None:
        """[k, width], or None where the rows are nested deeper than that or hold more than numbers."""
        try:
            parsed = self._parser.parse(raw)
            if not isinstance(parsed, simdjson.Array):
                raise FeaturesError(RejectKind.WRONG_TYPE, f"{self._name}: expected rows, as [[...]]")
            if _is_one_row(raw):
                count = 1
            else:
                widths = self._widths(parsed)
                count = len(widths)
                if raw.count(b"[") != count + 1 or (self._width and widths[0] != self._width):
                    return None
            flat = np.frombuffer(parsed.as_buffer(of_type=self._of_type), self._wide)
        except TypeError:
            return None  # not only numbers: the general way says what came
        except ValueError as error:
            raise self._unreadable(raw) from error
        except RuntimeError as error:
            if str(error).startswith("BIGINT"):
                raise self._unreadable(raw) from error
            if not str(error).startswith("DEPTH"):
                raise
            raise FeaturesError(RejectKind.TOO_DEEP, f"{self._name}: nested too deeply") from error
        return self._converted(flat.reshape(count, -1))

    def _widths(self, parsed: simdjson.Array) -> list[int]:
        """The width of every row; refuses no rows, rows that are no lists, and rows of different widths."""
        widths = [len(row) if isinstance(row, simdjson.Array) else -1 for row in parsed]
        if not widths:
            raise FeaturesError(RejectKind.NO_FEATURES, f"{self._name}: no rows")
        if -1 in widths:
            raise FeaturesError(RejectKind.WRONG_TYPE, f"{self._name}: expected rows, as [[...]]")
        if len(set(widths)) > 1:
            raise FeaturesError(RejectKind.RAGGED, f"{self._name}: rows have widths {_shown(widths)}")
        return widths

    def _converted(self, rows: np.ndarray) -> np.ndarray:
        """A copy in the input's dtype; refuses whole numbers that do not fit."""
        if self._dtype.kind in "iu" and rows.size:
            limits = np.iinfo(self._dtype)
            if int(rows.min()) < limits.min or int(rows.max()) > limits.max:
                reason = f"{self._name}: a number is out of {self._datatype}'s range"
                raise FeaturesError(RejectKind.WRONG_TYPE, reason)
        with np.errstate(over="ignore"):  # becomes infinite, which is refused by name
            return rows.astype(self._dtype)

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        """The rows in the input's shape; refuses other widths and values that are not finite."""
        dims = rows.shape[1:]
        if self._width is not None and dims == (self._width,):
            rows = rows.reshape(len(rows), *self._dims)
        elif not self._dims and dims == (1,):
            rows = rows.reshape(len(rows))
        elif len(dims) != len(self._dims) or any(
            e not in (-1, g) for e, g in zip(self._dims, dims, strict=True)
        ):
            wanted = (
                "one value" if not self._dims else "x".join("any" if s == -1 else str(s) for s in self._dims)
            )
            got = "x".join(map(str, dims)) or "no list"
            raise FeaturesError(RejectKind.WRONG_WIDTH, f"{self._name}: rows of {wanted} expected, got {got}")
        if rows.size == 0:
            raise FeaturesError(RejectKind.NO_FEATURES, f"{self._name}: empty rows")
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            raise FeaturesError(
                RejectKind.NON_FINITE, f"{self._name}: a value is not finite as {self._datatype}"
            )
        return rows

    def _unreadable(self, raw: bytes) -> FeaturesError:
        """Simdjson names a number out of range and a syntax error alike."""
        try:
            _decode(raw)
        except BAD_VALUE as error:
            if "out of range" not in str(error):
                return FeaturesError(RejectKind.NOT_JSON, f"{self._name}: {error}")
        return FeaturesError(self._out_of_range(), f"{self._name}: a number is out of range")

    def _out_of_range(self) -> RejectKind:
        return RejectKind.NON_FINITE if self._dtype.kind == "f" else RejectKind.WRONG_TYPE


def _is_one_row(raw: bytes) -> bool:
    """Whether valid JSON of lists reads `[[...]]` with nothing nested in it."""
    return raw.startswith(b"[[") and raw.find(b"[", 2) < 0 and raw.endswith(b"]]")


def _single_rows(text: bytes, lengths: np.ndarray, width: int) -> bool:
    """Whether every record in a joined array of flat numbers is `[[v, ...]]` with exactly `width` values.

    The text is valid JSON of numbers and lists only. A record that begins with `[[`, ends with `]]` and opens nothing
    else is one row; then every width-th comma must be the one that separates two records.
    """
    chars = np.frombuffer(text, np.uint8)
    ends = np.cumsum(lengths + 1)
    starts = ends - lengths
    if np.count_nonzero(chars == _OPEN) != 2 * len(lengths) + 1 or lengths.min() < 5:
        return False
    opened = (chars[starts] == _OPEN) & (chars[starts + 1] == _OPEN)
    closed = (chars[ends - 1] == _CLOSE) & (chars[ends - 2] == _CLOSE)
    if not (opened & closed).all():
        return False
    commas = np.flatnonzero(chars == _COMMA)
    return commas.size == len(lengths) * width - 1 and np.array_equal(commas[width - 1 :: width], ends[:-1])


def _block(chosen: list[int], found: list[np.ndarray], records: int) -> Block:
    rows = np.concatenate(found)
    counts = None if len(rows) == len(found) else np.fromiter(map(len, found), np.intp, len(found))
    return Block(rows, None if len(chosen) == records else chosen, counts)


def _shown(widths: list[int]) -> str:
    shown = ", ".join(map(str, widths[:4]))
    return shown + ", ..." if len(widths) > 4 else shown
