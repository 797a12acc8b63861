"""Time as the records know it, said apart from them: not all who ask bring SQLAlchemy along."""

import time
from typing import Final

WAIT_S: Final = 10.0
"""How long a transaction waits for another that writes, and for a connection."""

LAST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: what is later can be kept and not shown."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
