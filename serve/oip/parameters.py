"""What a request's parameters say of its rows: ids, sticky keys, the attributes that rules read, and time."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec

from mesh.errors import InvalidInput
from mesh.routing.columns import columns
from mesh.routing.types import MISSING, Variant
from serve.oip.schema import decode

_any: Final = msgspec.json.Decoder()
_text: Final = msgspec.json.Decoder(str)
_MAX_TIMEOUT_US: Final = 24 * 3600 * 1_000_000
_VARIANTS: Final = ("primary", "canary")


def decode_parameter(name: str, raw: msgspec.Raw) -> object:
    """A parameter given as plain JSON, or as JSON text inside a JSON string."""
    if memoryview(raw)[0] == ord('"'):
        return decode_text(name, decode(_text, raw, f"parameters.{name}"))
    return decode(_any, raw, f"parameters.{name}")


def decode_text(name: str, text: str) -> object:
    """A parameter given as text: JSON where it begins as an array, an object or a quoted text, else itself."""
    return decode(_any, text, f"parameters.{name}") if text.lstrip()[:1] in ("[", "{", '"') else text


def texts_per_row(name: str, value: object, rows: int, *, numbered: bool) -> Sequence[str]:
    """`mesh_keys` or `mesh_row_ids`: one text for all rows, or a list with one a row.

    With `numbered`, one text for several rows becomes `text/0`, `text/1`, ...
    """
    if isinstance(value, str):
        return row_ids(value, rows) if numbered else (value,) * rows
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidInput(f"parameters.{name}", "must be a text, or a list of texts with one a row")
    if len(value) != rows:
        raise InvalidInput(f"parameters.{name}", f"holds {len(value)} texts for {rows} rows")
    return cast("list[str]", value)


def row_ids(request_id: str, rows: int) -> Sequence[str]:
    """The id itself for a single row, else `id/n`."""
    return (request_id,) if rows == 1 else [f"{request_id}/{row}" for row in range(rows)]


def attribute_columns(value: object, names: frozenset[str], rows: int) -> Mapping[str, Sequence[object]]:
    """`mesh_attributes` as columns of the attributes in `names`: one object for all rows, or a list with one a row."""
    objects = [value] * rows if isinstance(value, dict) else value
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise InvalidInput(
            "parameters.mesh_attributes", "must be an object, or a list of objects with one a row"
        )
    if len(objects) != rows:
        raise InvalidInput("parameters.mesh_attributes", f"holds {len(objects)} objects for {rows} rows")
    return columns(objects, names) if names else {}


def no_attributes(names: frozenset[str], rows: int) -> Mapping[str, Sequence[object]]:
    """The columns of rows that have no attributes."""
    return dict.fromkeys(names, (MISSING,) * rows) if names else {}


def deadline_of(received: float, timeout_us: int, header_ms: str | None, due: float | None) -> float | None:
    """When the answer is due (`time.monotonic` seconds): the earliest that anyone has said, None where nobody has.

    `timeout_us` is Triton's parameter, 0 for none; `header_ms` the header `x-request-timeout-ms`; `due` gRPC's deadline.
    """
    if not timeout_us and header_ms is None:
        return due
    if not 0 <= timeout_us <= _MAX_TIMEOUT_US:
        raise InvalidInput(
            "parameters.timeout", f"must be 0 to {_MAX_TIMEOUT_US} microseconds, is {timeout_us}"
        )
    shortest = timeout_us / 1e6 if timeout_us else float("inf")
    if header_ms is not None:
        if not (header_ms.isascii() and header_ms.isdigit()) or len(header_ms) > 8 or int(header_ms) == 0:
            raise InvalidInput(
                "x-request-timeout-ms", "must be a whole number of milliseconds, 1 to 99999999"
            )
        shortest = min(shortest, int(header_ms) / 1000)
    return received + shortest if due is None else min(due, received + shortest)


def variant_of(text: str | None) -> Variant | None:
    """The header or metadata `x-mesh-variant`."""
    if text is None or text in _VARIANTS:
        return cast("Variant | None", text)
    raise InvalidInput("x-mesh-variant", f"must be one of {', '.join(_VARIANTS)}")
