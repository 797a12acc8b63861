"""Attributes from rows of objects to columns: only the names that rules read are looked at."""

from collections.abc import Iterable, Mapping, Sequence

from mesh.routing.types import MISSING


def columns(objects: Sequence[object], names: Iterable[str]) -> dict[str, Sequence[object]]:
    """One column of `len(objects)` values for each dotted name; `a.b` is looked up as `object["a"]["b"]`.

    A row that has no such value, or is no object at all, holds `MISSING`.
    """
    return {name: _column(objects, name.split(".")) for name in names}


def _column(objects: Sequence[object], path: list[str]) -> list[object]:
    values: list[object] = list(objects)
    for key in path:
        values = [value.get(key, MISSING) if isinstance(value, Mapping) else MISSING for value in values]
    return values
