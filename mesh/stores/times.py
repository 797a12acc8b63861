"""Times as people write them, and back: ISO 8601 or milliseconds since 1970, always UTC where no zone is given."""

import re
from datetime import UTC, datetime
from typing import Final

from mesh.errors import InvalidInput

_MILLISECONDS: Final = re.compile(r"-?[0-9]{1,18}")
"""As many as 64 bits hold."""


def parse_time(field: str, text: str) -> int:
    """Milliseconds since 1970. `InvalidInput` names `field` where `text` is no time."""
    text = text.strip()
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            field, f"'{text}' is no time: write 2026-01-02T03:04:05Z or milliseconds since 1970"
        ) from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000)


def show_time(milliseconds: int) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
