"""The fenced blocks of every page, where they stand and what they say they are.

The fence of one that no test runs as it stands says why: ```sh notest="needs Docker" (docs_reasons.py).
"""

import re
import shlex
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
_NOTEST = re.compile(r'notest="([^"]+)"')
RUN = {"sh", "console", "bash", "python"}
"""Languages that run. A title makes a block a file."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its page (relative to the project), the line of its fence, language, title, text, why it is not run."""

    page: str
    line: int
    language: str
    title: str
    text: str
    notest: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """The command lines, continued ones joined, each with the lines that are shown of what it says."""
        return shown(self.text) if self.language == "console" else [(one, []) for one in typed(self.text)]


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
        title, notest = _TITLE.search(fence["rest"]), _NOTEST.search(fence["rest"])
        text = "\n".join(line.removeprefix(fence["indent"]) for line in lines[at + 1 : end])
        name = page.relative_to(ROOT).as_posix()
        yield Block(
            name, at + 1, fence["language"], title[1] if title else "", text, notest[1] if notest else ""
        )
        at = end + 1


def typed(text: str) -> list[str]:
    """The command lines of a block: no comments, and a quote may go over lines."""
    found: list[str] = []
    begun = ""
    for line in text.split("\n"):
        if begun:
            begun += "\n" + line
        elif line.strip() and not line.startswith("#"):
            begun = line
        if begun and _is_whole(begun):
            found.append(begun)
            begun = ""
    assert not begun, f"a quote that never ends: {begun[:80]}"
    return found


def shown(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console, which follow `$ `, and the lines after each."""
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def _is_whole(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line outside of fences."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        if _OPEN.match(line):
            inside = not inside
        elif not inside:
            yield number, line


EVERY = [block for page in PAGES for block in blocks(page)]
