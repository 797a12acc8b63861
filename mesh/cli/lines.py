"""Records as lines of a file or of standard output, at a pace."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from mesh.cli.pacing import Pace
from mesh.cli.table import Record


def _nothing() -> None:
    return


@dataclass(slots=True)
class Lines:
    """One run of writing; `progress` is called after every record. `waiting` stays false: a file always takes more."""

    file: BinaryIO
    pace: Pace
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    waiting: bool = False
    progress: Callable[[], None] = _nothing

    def run(self, records: Iterable[Record]) -> int:
        """Write all of `records`, the value of each on a line; returns how many. Ends early where nobody reads any more."""
        began = time.monotonic()
        try:
            for row, record in enumerate(records):
                if not self._wait_until(began + self.pace.due(row, record.time)):
                    break
                self.file.write(record.value + b"\n")
                self.sent += 1
                self.progress()
            self.file.flush()
        except BrokenPipeError:
            pass
        return self.sent

    def _wait_until(self, due: float) -> bool:
        """False when it is time to stop."""
        rest = due - time.monotonic()
        if rest <= 0:
            return not self.stop.is_set()
        self.file.flush()  # whoever reads along sees what is there
        return not self.stop.wait(rest)
