"""Log records as JSON, one line an event, with the trace and the request that they belong to."""

import json
import logging
import os
from datetime import UTC, datetime
from typing import Final

from mesh.redaction import redact
from mesh.tracing.journey import current

MAX_CHARACTERS: Final = 8_000
"""Of a message and of a stack trace; longer ones are cut."""


class JsonLines(logging.Formatter):
    """`time` (RFC 3339), `level`, `logger`, `message`, `pid`; where known `trace_id`, `request_id`, `error`, `stack`.

    Messages name endpoints, counts and reasons, never rows; what looks like a secret in them is hidden.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        event: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage())[:MAX_CHARACTERS],
            "pid": os.getpid(),
            **_belongs_to(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
            event["stack"] = redact(self.formatException(record.exc_info))[-MAX_CHARACTERS:]
        return json.dumps(event, ensure_ascii=False)


def _belongs_to(record: logging.LogRecord) -> dict[str, object]:
    journey = current()
    found = {} if journey is None else {"trace_id": journey.context.trace_id}
    found |= {name: getattr(record, name) for name in ("trace_id", "request_id") if hasattr(record, name)}
    return {name: value for name, value in found.items() if value}
