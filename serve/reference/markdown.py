"""Headings, cells and tables of Markdown."""

import re
from collections.abc import Iterable, Sequence


def made(title: str, source: str, lead: str) -> list[str]:
    """The head of a page that is made: title, what it is made from, and what it is."""
    return [f"# {title}", "", f"Made from {source} by `make reference`; do not edit.", "", lead, ""]


def cell(text: object) -> str:
    """Text that stays within a cell: no line ends, no bare bars. Spaces at which no line ends stay."""
    return re.sub(r"[ \t\n]+", " ", str(text)).strip().replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table and an empty one; nothing where there are no rows."""
    body = [f"| {' | '.join(cell(one) for one in row)} |" for row in rows]
    if not body:
        return []
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""]


def page(lines: Iterable[str]) -> str:
    """The lines as a file."""
    return "\n".join(lines).rstrip("\n") + "\n"
