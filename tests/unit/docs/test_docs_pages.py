"""Pages that are made are what the code says; every page has a place on the site; every variable is documented."""

import ast
import re

import pytest
from docs_fences import PAGES, ROOT

from serve.reference.pages import FOLDER
from serve.reference.pages import PAGES as MADE

VARIABLE = re.compile(r"(KAFKA|REDIS|ML|MESH|INGEST|TELEMETRY|REVIEW)_[A-Z0-9_]*[A-Z0-9]")
FOR_DEVELOPERS = {"MESH_SHARED": "where tests and training find data sets"}


@pytest.mark.parametrize("name", MADE)
def test_made_pages_are_up_to_date(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text == MADE[name](), f"docs/{name} is not what the code says: make reference"


def test_every_page_has_a_place_on_the_site() -> None:
    navigation = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {
        page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")
    }
    beside = {"changelog.md", "contributing.md"}
    assert pages - navigation == set(), "give it a line under nav in mkdocs.yml"
    assert navigation - pages - beside == set(), "mkdocs.yml names pages that are not there"


def test_every_variable_that_is_read_is_documented() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    known = set(re.findall(r"[A-Z][A-Z0-9_]+", pages))
    undocumented = {
        f"{node.value} ({file.relative_to(ROOT)}:{node.lineno})"
        for room in ("mesh", "serve", "ingest")
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value)
        if node.value not in known and node.value not in FOR_DEVELOPERS
    }
    assert not undocumented


def test_the_page_of_http_asks_every_room_for_its_routes() -> None:
    defined = re.compile(r"^def (\w+_router)\(", re.MULTILINE)
    rooms = {name for file in (ROOT / "serve").rglob("*.py") for name in defined.findall(file.read_text())}
    asked = (ROOT / "serve/reference/http.py").read_text(encoding="utf-8")
    assert rooms
    assert {name for name in rooms if f"{name}(" not in asked} == set()
