"""Times as people write them, and back: ISO 8601 or milliseconds since 1970, always UTC where no zone is given."""

import re
from datetime import UTC, datetime
from typing import Final

from mesh.errors import InvalidInput

_MILLISECONDS: Final = re.compile(r"-?[0-9]{1,15}")
_FIRST: Final = -62_135_596_800_000
_LAST: Final = 253_402_300_799_999
"""The years 1 to 9999, which dates can say; tables count in microseconds and in days of 32 bits, and hold no more."""


def parse_time(field: str, text: str) -> int:
    """Milliseconds since 1970. `InvalidInput` names `field` where `text` is no time."""
    text = text.strip()
    if _MILLISECONDS.fullmatch(text) and _FIRST <= int(text) <= _LAST:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            field, f"'{text}' is no time: write 2026-01-02T03:04:05Z or milliseconds since 1970"
        ) from None
    since = round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000)
    return max(_FIRST, min(since, _LAST))


def show_time(milliseconds: int) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    seconds, rest = divmod(milliseconds, 1_000)
    # Not by %Y, which writes the year 1 with one digit on some systems.
    return f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()}.{rest:03d}Z"
