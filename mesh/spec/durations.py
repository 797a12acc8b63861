"""Times as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PATTERN: Final = r"^[0-9]{1,9}(ms|s|m|h|d)$"


def read_duration(value: object) -> int:
    """Milliseconds; `ValueError` for what is no such text."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"must be a time such as 500ms, 10s, 5m, 2h or 30d, got {value!r:.60}")
    return int(found[1]) * _MS[found[2]]


def _above_zero(ms: int) -> int:
    if not ms:
        raise ValueError("must be above 0, such as 10m")
    return ms


Duration = Annotated[
    int,
    BeforeValidator(read_duration, json_schema_input_type=Annotated[str, Field(pattern=_PATTERN)]),
]
"""A time in milliseconds, 0 allowed."""

LongerThanZero = Annotated[Duration, AfterValidator(_above_zero)]
