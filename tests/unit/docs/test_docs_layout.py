"""What stands in a page is seen on the site as it is meant: lists, tables, options, bounds."""

import re
from pathlib import Path

import pytest
from docs_fences import PAGES, prose

from docs.hooks import whole_options
from serve.reference.commands import commands_page
from serve.reference.http import http_page
from serve.reference.keys import keys_page

_ITEM = re.compile(r" *([-*]|\d+\.) ")
_ROW = re.compile(r" *\|")


def _misread(page: Path) -> list[str]:
    """Lists and tables that Markdown takes for a part of what stands above them, and rows for text."""
    found, above, at = [], "", 0
    for number, line in prose(page):
        above = above if number == at + 1 else ""  # a fence stood between
        if line.strip() and above.strip():
            begins_list = _ITEM.match(line) and not _ITEM.match(above) and not above.startswith(" ")
            if (begins_list and not above.startswith("#")) or bool(_ROW.match(line)) != bool(
                _ROW.match(above)
            ):
                found.append(f"{page.name}:{number}: wants an empty line above: {line.strip()[:40]}")
        if _ROW.match(line) and 0 < len(line) - len(line.lstrip()) < 4:
            found.append(f"{page.name}:{number}: a table within a list is indented by four")
        above, at = line, number
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lists_and_tables_are_seen_as_such(page: Path) -> None:
    assert _misread(page) == []


def test_an_option_stays_on_one_line() -> None:
    assert whole_options("up --no-feed -o x") == (
        'up <span class="whole">--no-feed</span> <span class="whole">-o</span> x'
    )
    assert whole_options("level-shift 2026-01-02 |x - y|") == "level-shift 2026-01-02 |x - y|"


def test_an_option_that_must_be_given_says_so() -> None:
    assert "| `--model` | required | A model of models.yaml. |" in commands_page()


def test_keys_say_each_bound_once_and_leave_meanings_room() -> None:
    rows = [line.split(" | ") for line in keys_page().split("\n") if line.startswith("| `")]
    assert not [row[0] for row in rows if "≥" in row[1] and ">" in row[1]]
    assert not [row[0] for row in rows if len(row[2]) > 62 or "any" in row[1].split()]
    assert r"\|" not in keys_page()
    assert "whole number ≥\u00a01 " in keys_page()


def test_not_ready_is_no_wrong_parameter() -> None:
    part = http_page().split("### GET /v2/health/ready\n")[1].split("###")[0]
    assert "| 400 | Not ready; the message says which |" in part
    assert "**Can every model answer?** 200 when" in part
