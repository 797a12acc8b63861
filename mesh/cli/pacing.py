"""When each record is due, and how much may lie unread. Pure: time and lag are arguments."""

import math
import re
from dataclasses import dataclass
from typing import Final, Protocol

from mesh.errors import InvalidInput

UNREAD_LIMIT_BYTES: Final = 2_500_000
"""What may lie unread in one partition of the demo broker, which drops the oldest past about 5 MiB."""


class Pace(Protocol):
    """Says when a record is due."""

    def due(self, row: int, time: float | None) -> float:
        """Seconds after the first record; `row` counts from 0, `time` is the record's own."""
        ...


@dataclass(frozen=True, slots=True)
class AtOnce:
    """As fast as it goes."""

    def due(self, row: int, time: float | None) -> float:  # noqa: ARG002 - neither matters here
        """Now."""
        return 0.0


@dataclass(frozen=True, slots=True)
class AtRate:
    """So many records a second."""

    per_second: float

    def due(self, row: int, time: float | None) -> float:  # noqa: ARG002 - only the count matters here
        """In even steps."""
        return row / self.per_second


class ByTimestamp:
    """As the timestamps lie apart, `factor` times faster. A step back, as at a loop's end, takes no time."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._elapsed = 0.0
        self._last: float | None = None

    def due(self, row: int, time: float | None) -> float:  # noqa: ARG002 - only the time matters here
        """After the time that has passed in the data."""
        if time is not None:
            if self._last is not None:
                self._elapsed += max(0.0, time - self._last)
            self._last = time
        return self._elapsed / self._factor


def pace_of(speed: str | None, rate: float | None, has_time: bool) -> Pace:
    """The pace that `--speed` (1x, 50x, max) or `--rate` asks for; without either: as fast as it goes."""
    if speed is not None and rate is not None:
        raise InvalidInput("--rate", "means nothing beside --speed; give one of them")
    if rate is not None:
        return AtRate(rate)
    factor = factor_of(speed or "max")
    if math.isfinite(factor) and not has_time:
        raise InvalidInput("--speed", f"'{speed}' needs --timestamp COLUMN; or use --rate, or --speed max")
    return at_factor(factor)


def factor_of(speed: str) -> float:
    """How many times faster than it happened `1x`, `50x` or `max` (infinity) is."""
    if speed == "max":
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x?", speed)
    if not found or float(found[1]) <= 0:
        raise InvalidInput("--speed", f"'{speed}' is none of 1x, 50x, max")
    return float(found[1])


def at_factor(factor: float) -> Pace:
    """The pace that is so many times faster than the records' own times."""
    return ByTimestamp(factor) if math.isfinite(factor) else AtOnce()


class Allowance:
    """How many bytes may be sent before the reader's lag is looked at again.

    Nobody knows beforehand to which partition a record goes, so all sent bytes count against the fullest one.
    """

    def __init__(self, limit_bytes: int = UNREAD_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._left = 0
        self._sent_bytes = 0
        self._sent_records = 0

    @property
    def left(self) -> int:
        """Bytes that may be sent now."""
        return self._left

    def spend(self, size: int) -> None:
        """A record of `size` bytes was sent."""
        self._left -= size
        self._sent_bytes += size
        self._sent_records += 1

    def renew(self, most_unread: int) -> bool:
        """The fullest partition holds `most_unread` unread records. True where more may be sent."""
        mean = self._sent_bytes / self._sent_records if self._sent_records else 0.0
        left = int(self._limit - most_unread * mean)
        # Wait for a good part of the room, so that the lag is not asked for after every few records.
        self._left = left if left >= self._limit // 4 else 0
        return self._left > 0
