"""Rows of any datatype and rank, through Python lists: for what is not plain numbers. And what refusing them is."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from ingest.record import RejectKind
from mesh.routing.datatypes import NUMPY_OF

_decode = msgspec.json.Decoder().decode
_KINDS: Final = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why features can never be answered; the reason is free of the record's own values."""

    kind: RejectKind
    reason: str


class FeaturesError(Exception):
    """These features can never be answered."""

    def __init__(self, kind: RejectKind, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(kind, reason)


def nested_rows(name: str, datatype: str, raw: bytes) -> np.ndarray:
    """The rows as numpy makes them, of the datatype's kind but not yet of its size; `FeaturesError` otherwise.

    BYTES come as an object array of `bytes`. About 1.5 µs for 16 numbers, ten times a joined parse.
    """
    try:
        rows = np.array(_decode(raw), object if datatype == "BYTES" else None)
    except msgspec.MsgspecError as error:
        raise FeaturesError(RejectKind.NOT_JSON, f"{name}: {error}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise FeaturesError(RejectKind.RAGGED, f"{name}: rows are ragged") from error
    if rows.ndim == 0:
        raise FeaturesError(RejectKind.WRONG_TYPE, f"{name}: expected rows, as [[...]]")
    if rows.size == 0:
        raise FeaturesError(RejectKind.NO_FEATURES, f"{name}: no rows")
    if datatype == "BYTES":
        return _texts(name, rows)
    # Numpy makes numbers of truth values that stand beside numbers.
    truths = datatype != "BOOL" and (b"true" in raw or b"false" in raw)
    if truths or rows.dtype.kind not in _KINDS[NUMPY_OF[datatype].kind]:
        raise FeaturesError(RejectKind.WRONG_TYPE, f"{name}: expected {datatype} values only")
    return rows


def _texts(name: str, rows: np.ndarray) -> np.ndarray:
    found = np.empty(rows.size, object)
    for place, value in enumerate(rows.ravel()):
        if not isinstance(value, str):
            raise FeaturesError(RejectKind.WRONG_TYPE, f"{name}: expected texts only")
        found[place] = value.encode()
    return found.reshape(rows.shape)
