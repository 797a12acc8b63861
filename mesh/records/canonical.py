"""JSON with one spelling for each value, by RFC 8785 (JSON Canonicalization Scheme), so that its hash means something.

https://www.rfc-editor.org/rfc/rfc8785: no blanks, members in the order of their UTF-16 code units, numbers as ECMAScript writes
them. Two of its limits become errors here: integers beyond 2^53 (they would lose digits elsewhere) and lone surrogates.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from mesh.errors import InvalidInput

_EXACT: Final = 2**53
_PLAIN_DIGITS: Final = 21
"""ECMAScript writes 1e21 and more with an exponent, and less than 1e-6."""


def canonical_json(value: Any) -> str:
    """`value` (None, bool, int, float, str, mappings of texts, lists and tuples of these). Raises `InvalidInput`."""
    match value:
        case list() | tuple():
            return f"[{','.join(canonical_json(one) for one in value)}]"
        case Mapping():
            return _members(value)
        case str():
            return _text(value)
        case float():
            return _number(value)
        case _:
            return _constant_or_integer(value)


def _constant_or_integer(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int):
        raise InvalidInput("detail", f"{type(value).__name__} is no JSON; write it as text")
    if abs(value) > _EXACT:
        raise InvalidInput("detail", f"{value} is beyond 2^53; write it as text")
    return str(int(value))


def read_json(text: str) -> Any:
    """The value of a JSON text, as `canonical_json` takes it: numbers beyond 2^53 are floats. Raises `ValueError`."""
    return json.loads(text, parse_int=_exact_or_float)


def _exact_or_float(digits: str) -> int | float:
    value = float(digits)  # as a text it has no limit of digits
    return int(value) if abs(value) <= _EXACT else value


def _members(value: Mapping[Any, Any]) -> str:
    for name in value:
        if not isinstance(name, str):
            raise InvalidInput("detail", f"the name {name!r} is no text")
    written = [(name.encode("utf-16-be", "surrogatepass"), name) for name in value]
    return f"{{{','.join(f'{_text(name)}:{canonical_json(value[name])}' for _, name in sorted(written))}}}"


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput("detail", "holds half a character (a lone surrogate)") from None
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """ECMA-262, Number::toString: the shortest digits that read back as `value`, as `repr` finds them too."""
    if not math.isfinite(value):
        raise InvalidInput("detail", f"{value} is no JSON number; write it as text")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or 0)  # the value is 0.DIGITS times 10 ** point
    shown = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(shown)
    shown = shown.rstrip("0")
    return sign + _placed(shown, point)


def _placed(digits: str, point: int) -> str:
    if 0 < point <= _PLAIN_DIGITS:
        if len(digits) <= point:
            return digits.ljust(point, "0")
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if power > 0 else '-'}{abs(power)}"
