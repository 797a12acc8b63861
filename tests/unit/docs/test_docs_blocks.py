"""Every fenced block of README and docs says what it is, and is what it says."""

import ast
import importlib
import json
import re
import subprocess
import tomllib

import pytest
from docs_fences import EVERY, PAGES, ROOT, Block, prose
from docs_shell import call, known, wrong
from graphql import build_schema, parse, validate
from ray.serve.schema import ServeDeploySchema

from mesh.spec.document import parse_document
from mesh.spec.schema import FILES

CHECKED = {"sh", "console", "bash", "yaml", "json", "toml", "python", "graphql", "csv"}
SHOWN = {
    "text": "diagrams in letters, formulas, output",
    "mermaid": "diagrams, drawn by the reader's browser",
}
"""Languages whose blocks are not commands, files or code of ours, and what they are."""
OTHER_FILES = {"kustomization.yaml": "Kubernetes' own; tests/unit/k8s builds the overlays"}


def of(*languages: str) -> list:
    return [pytest.param(block, id=block.place) for block in EVERY if block.language in languages]


def test_every_block_says_what_it_is() -> None:
    unknown = [
        f"{one.place}: '{one.language}'" for one in EVERY if one.language not in CHECKED | SHOWN.keys()
    ]
    assert not unknown, f"name one of {', '.join(sorted(CHECKED | SHOWN.keys()))} behind the fence"


@pytest.mark.parametrize("block", of("sh", "console"))
def test_commands_exist_with_their_options(block: Block) -> None:
    problems = [wrong(line) for line, _ in block.commands]
    assert not list(filter(None, problems))


@pytest.mark.parametrize("block", of("bash"))
def test_shell_programs_are_ones(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=60)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_what_its_file_may_hold(block: Block) -> None:
    document = parse_document(block.place, block.text).data
    if block.title in OTHER_FILES:
        return
    if block.title == "serve_config.yaml":
        ServeDeploySchema.model_validate(document)
        return
    schema = schema_of(block.title)
    assert schema, f'{block.place}: say which file it is, such as ```yaml title="config/routing.yaml"'
    FILES[schema].model_validate(document)


def schema_of(title: str) -> str:
    folder, _, name = title.rpartition("/")
    last = folder.rpartition("/")[2]
    if last in ("scenarios", "rollouts"):
        return f"{last.removesuffix('s')}.json"
    found = name.rpartition(".")[0] + ".json"
    return found if found in FILES else ""


@pytest.mark.parametrize("block", of("toml"))
def test_toml_is_toml(block: Block) -> None:
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", of("json"))
def test_json_is_json(block: Block) -> None:
    rest, decoder = block.text.strip(), json.JSONDecoder()
    while rest:
        _, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()


@pytest.mark.parametrize("block", of("python"))
def test_python_compiles_and_imports_what_there_is(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{block.place}: {node.module} has no {name.name}"


@pytest.mark.parametrize("block", of("graphql"))
def test_graphql_fits_the_schema(block: Block) -> None:
    published = next(one.text for one in EVERY if one.page == "docs/graphql-schema.md")
    if block.text != published:
        assert not validate(build_schema(published), parse(block.text))


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_commands_and_calls_in_prose_exist(page) -> None:
    problems = []
    for number, line in prose(page):
        for code in re.findall(r"`([^`]+)`", line):
            problem = None
            if code.startswith("hyperstream "):
                problem = known(code.split()[1:])
            elif asked := re.fullmatch(r"(GET|POST|PUT|DELETE) (/[^\s?`]*)(\?\S*)?", code):
                problem = call(asked[1], asked[2])
            if problem:
                problems.append(f"{page.name}:{number}: {code}: {problem}")
    assert not problems


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_headings_and_tables_stand_alone(page) -> None:
    """A heading or table without an empty line before it is text on the site."""
    lines = dict(prose(page))
    stuck = [
        number
        for number, line in lines.items()
        if (line.startswith("#") and lines.get(number - 1, "").strip())
        or (
            line.startswith("|")
            and not lines.get(number - 1, "|").startswith("|")
            and lines.get(number - 1, "").strip()
        )
    ]
    assert not stuck, f"{page.name}: an empty line before {stuck}"


def test_readme_starts_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Run it")[1]
    first = re.search(r"```sh[^\n]*\n(.*?)```", section, re.DOTALL)
    assert first
    assert [line.split("#")[0].strip() for line in first[1].strip().split("\n")] == ["make run", "make test"]
