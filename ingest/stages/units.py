"""Readings in other units of the same quantity, converted to the declared one."""

import re
from functools import cache, lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pint

Affine = tuple[float, float]
"""`declared = scale * given + offset`."""

REMEMBERED: Final = 1_024
"""Pairs of units whose conversion is known: senders write them, so nothing else bounds how many there are."""
_MOST: Final = 64
_LETTER: Final = r"(?:(?![⁰¹²³⁴⁵⁶⁷⁸⁹])[^\W\d]|[%°])"
_POWER: Final = r"(?:\s*(?:\*\*|\^)\s*(?:[+-]?[0-9]{1,2}|\([+-]?[0-9]{1,2}\))|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})"
_NAME: Final = rf"{_LETTER}(?:{_LETTER}|[0-9])*+"
_READABLE: Final = re.compile(rf"(?:(?:{_NAME}|\)){_POWER}?+|1(?!\w)|[\s(/*·])++")
_POWER_WORD: Final = re.compile(r"\b(?:square|sq|cubic|squared|cubed)\b")


@lru_cache(REMEMBERED)
def conversion(given: str, declared: str) -> Affine | None:
    """How a reading in the unit `given` becomes one in `declared`; None where there is no way.

    Units are those that pint knows (`degF`, `psi`, `rpm`, `mm/s`); others can only be equal.
    """
    if given == declared:
        return 1.0, 0.0
    if not _readable(given):
        return None
    registry = _registry()
    try:
        at_zero = float(registry.Quantity(0.0, given).to(declared).magnitude)
        at_one = float(registry.Quantity(1.0, given).to(declared).magnitude)
    except Exception:  # noqa: BLE001 - a sender wrote it: whatever pint makes of it, it is no unit of ours
        return None
    scale = at_one - at_zero
    return (scale, at_zero) if scale and isfinite(scale) and isfinite(at_zero) else None


def _readable(given: str) -> bool:
    """Names with powers of two digits at most, their products and quotients, parentheses, and 1.

    Pint computes what it reads, so that `9**9**9**9` would keep it busy for ever; here no power has another one above it.
    """
    return (
        len(given) <= _MOST
        and _READABLE.fullmatch(given) is not None
        and len(_POWER_WORD.findall(given)) <= 1
    )


@cache
def _registry() -> "pint.UnitRegistry[float]":
    import pint  # noqa: PLC0415  # reads its definitions for a third of a second, which most streams never need

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
