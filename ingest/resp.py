"""The Redis commands that publish answers, as bytes. Pure: see https://redis.io/docs/latest/develop/reference/protocol-spec."""

from collections.abc import Sequence
from typing import Final

FIELD: Final = b"data"
"""The field of a log entry that holds the answer."""


def command(*parts: bytes) -> bytes:
    """One command."""
    return b"*%d\r\n%b" % (len(parts), b"".join(map(_bulk, parts)))


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)


class Framer:
    """Makes the commands for answers. `log_records` 0 writes no log."""

    def __init__(self, channel: str, log_records: int) -> None:
        self._channel = channel.encode()
        self._publish = b"*3\r\n" + _bulk(b"PUBLISH")
        self._log = b""
        if log_records:
            log = (b"XADD", self._channel + b":log", b"MAXLEN", b"~", b"%d" % log_records, b"*", FIELD)
            self._log = b"*8\r\n" + b"".join(map(_bulk, log))
        self.commands_per_answer: Final = 3 if log_records else 2

    def frame(self, model_id: str, answers: Sequence[bytes]) -> bytes:
        """PUBLISH to the channel and to the model's channel and XADD to the log, for every answer; one text to send."""
        first = self._publish + _bulk(self._channel)
        second = self._publish + _bulk(self._channel + b":" + model_id.encode())
        log = self._log
        parts: list[bytes] = []
        add = parts.append
        for answer in answers:
            tail = b"$%d\r\n%b\r\n" % (len(answer), answer)
            add(first)
            add(tail)
            add(second)
            add(tail)
            if log:
                add(log)
                add(tail)
        return b"".join(parts)
