"""Which files of the configuration have changed? By what they say, once they have stood still for a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh.rules.reading import Texts
from mesh.rules.values import Proposal
from mesh.spec.load import MODELS, ROUTING

POLL_S: Final = 0.3
"""How often files are looked at. A change is proposed when it looks the same twice, so after 0.6 s at most."""

_WAITS: Final = (4, 8, 16, 32, 64, 100)
"""After how many looks what could not be taken is proposed again: from about 1 s up to 30 s."""

_Mark = tuple[int, int, int] | None


def mark(path: Path) -> _Mark:
    """Changes when the file does: inode, size and modification time, of what a symbolic link leads to."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(slots=True)
class FileWatch:
    """Looks at two files again and again; `seen` are the digests of what was proposed last."""

    folder: Path
    seen: dict[str, str]
    _marks: dict[str, _Mark] = field(default_factory=dict)
    _due: bool = False
    _put_off: int = 0
    _looks_left: int = 0

    def stirred(self) -> bool:
        """True when a file has changed since it was read, and has not since the last look, or what was put off is due again.

        Call it every `POLL_S`.
        """
        marks = {name: mark(self.folder / name) for name in (MODELS, ROUTING)}
        if marks != self._marks:
            self._marks, self._due = marks, True
            return False
        due, self._due = self._due, False
        if self._looks_left:
            self._looks_left -= 1
            due = due or not self._looks_left
        return due

    def news(self, texts: Texts) -> tuple[Proposal, Mapping[str, str]] | None:
        """What to propose of the files as they are, with their digests; None where they say nothing new."""
        digests = texts.digests
        changed = {name: value for name, value in digests.items() if self.seen.get(name) != value}
        if not changed:
            return None
        self.seen |= changed
        return self.proposal(texts, changed), changed

    def put_off(self, changed: Mapping[str, str]) -> None:
        """`changed` could not be taken, through no fault of the files: it is news again after a while, each time a longer one."""
        for name in changed:
            self.seen.pop(name, None)
        self._looks_left = _WAITS[min(self._put_off, len(_WAITS) - 1)]
        self._put_off += 1

    def settled(self) -> None:
        """What was read is taken, or refused for what it says: nothing is put off any more."""
        self._put_off = self._looks_left = 0

    def proposal(self, texts: Texts, changed: Mapping[str, str]) -> Proposal:
        """The changed files as one change."""
        return Proposal(
            routing=texts.routing if ROUTING in changed else None,
            models=texts.models if MODELS in changed else None,
            source="files",
            routing_name=str(self.folder / ROUTING),
            models_name=str(self.folder / MODELS),
        )
