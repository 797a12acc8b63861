"""The fenced blocks of every page, where they stand and what they say they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_OPEN = re.compile(r"^(?P<indent> *)(?P<marks>```+)(?P<language>[\w-]*)(?P<rest>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its page (relative to the project), the line of its fence, language, title and text."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Those of one page; a fence that is never closed is an error."""
    lines = page.read_text(encoding="utf-8").split("\n")
    at = 0
    while at < len(lines):
        fence = _OPEN.match(lines[at])
        if not fence:
            at += 1
            continue
        closing = fence["indent"] + fence["marks"]
        end = at + 1
        while lines[end].rstrip() != closing:
            end += 1
            assert end < len(lines), f"{page}:{at + 1}: the fence is never closed"
        title = _TITLE.search(fence["rest"])
        text = "\n".join(line.removeprefix(fence["indent"]) for line in lines[at + 1 : end])
        name = page.relative_to(ROOT).as_posix()
        yield Block(name, at + 1, fence["language"], title[1] if title else "", text)
        at = end + 1


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line outside of fences."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        if _OPEN.match(line):
            inside = not inside
        elif not inside:
            yield number, line


EVERY = [block for page in PAGES for block in blocks(page)]
