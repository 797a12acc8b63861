"""Time as the records know it, said apart from them: not all who ask bring SQLAlchemy along."""

import time
from typing import Final

WAIT_S: Final = 10.0
"""How long a transaction waits for another that writes, and for a connection."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
