"""Times as people write them into addresses and bodies."""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import BeforeValidator

_RFC3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:$|[Tt ][0-9]{2}:[0-9]{2})")


def _written(value: object) -> object:
    """Numbers, which pydantic takes for seconds since 1970, are refused: nobody can see which unit was meant."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _RFC3339.match(value)):
        raise ValueError("must be a time by RFC 3339, as 2026-11-23T23:14:03Z")
    return value


Time = Annotated[datetime, BeforeValidator(_written)]
"""RFC 3339; without a zone it is in UTC, a date alone is its first moment."""
