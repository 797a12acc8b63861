"""What is told before something changes, so that nothing changes unseen."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor` does `action` to `subject` at `at` (ms since 1970): it goes from `before` to `after`, for `reason`."""

    actor: str
    action: str
    subject: str
    before: str
    after: str
    reason: str
    at: int


class Audit(Protocol):
    """An append-only record."""

    def record(self, entry: AuditEntry) -> None:
        """Keep it; what raises here stops the change that it tells of."""
        ...


class MemoryAudit:
    """Keeps entries for as long as it lives."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def record(self, entry: AuditEntry) -> None:
        """See `Audit`."""
        self.entries.append(entry)


class LinesAudit:
    """Appends a JSON object a line to a file, on the disk before `record` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, entry: AuditEntry) -> None:
        """See `Audit`. Raises `OSError` where it cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
