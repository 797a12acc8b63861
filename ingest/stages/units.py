"""Readings in other units of the same quantity, converted to the declared one."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pint

Affine = tuple[float, float]
"""`declared = scale * given + offset`."""


@cache
def conversion(given: str, declared: str) -> Affine | None:
    """How a reading in the unit `given` becomes one in `declared`; None where there is no way.

    Units are those that pint knows (`degF`, `psi`, `rpm`, `mm/s`); others can only be equal.
    """
    if given == declared:
        return 1.0, 0.0
    import pint  # noqa: PLC0415  # reads its definitions for a third of a second, which most streams never need

    registry = _registry()
    try:
        at_zero = registry.Quantity(0.0, given).to(declared).magnitude
        at_one = registry.Quantity(1.0, given).to(declared).magnitude
    except (pint.PintError, AttributeError, ValueError, TypeError, ZeroDivisionError):
        return None
    return float(at_one - at_zero), float(at_zero)


@cache
def _registry() -> "pint.UnitRegistry[float]":
    import pint  # noqa: PLC0415

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
