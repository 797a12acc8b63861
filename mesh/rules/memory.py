"""A book of rules in memory, for whoever proposes without a running mesh: trials, tests, replays."""

from pathlib import Path

from mesh.rules.book import Book
from mesh.rules.opening import open_rules
from mesh.rules.ports import Audit, HostedElsewhere, NoAudit
from mesh.rules.reading import Reader
from mesh.rules.stores import MemoryRulesStore
from mesh.settings import Settings


def memory_book(folder: Path, settings: Settings | None = None, audit: Audit | None = None) -> Book:
    """A book that begins with the files in `folder`, checks as the real one does, and hosts and keeps nothing.

    Raises `InvalidConfig` where the files are wrong.
    """
    reader = Reader(folder, settings or Settings())
    opening = open_rules(None, reader, 0)
    return Book(opening, reader, MemoryRulesStore(), HostedElsewhere(), audit or NoAudit())
