"""Command lines of the docs, held against what there is: the command tree, the Makefile, the OpenAPI document, the extras.

`wrong(line)` says what is wrong with one, or nothing. What is not ours is in `OTHERS`, with the reason.
"""

import importlib.util
import json
import re
import shlex
import tomllib
from functools import cache
from urllib.parse import urlsplit

import typer
from docs_fences import ROOT

from mesh.cli.app import app
from serve.reference.http import openapi_document

OTHERS = {
    "kubectl": "needs a cluster; the overlays that it is given are built by tests/unit/k8s",
    "docker": "needs an engine; what follows the image's name is checked as a command of ours",
    "ray": "Ray's own; the options of its nodes are those that tests/integration/ray_nodes.py starts them with",
    "kcat": "a viewer of Kafka that is not ours",
    "prometheus": "not ours; tests/integration/test_full_seeing.py starts it with our files",
    "rm": "the shell's",
    "source": "the shell's",
    "export": "the shell's; what is in $(…) is checked",
}
"""Programs whose lines are not checked any further, and why."""

_ASSIGNMENT = re.compile(r"^[A-Z_][A-Z0-9_]*=")
_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


def wrong(line: str) -> str | None:
    """What is wrong with a command line; None where nothing is."""
    for part in _pipeline(shlex.split(line, comments=True)):
        words = [word for at, word in enumerate(part) if not (_ASSIGNMENT.match(word) and _leads(part, at))]
        if not words:
            continue
        problem = _judge(words)
        if problem:
            return f"{' '.join(words)[:100]}: {problem}"
    for inner in re.findall(r"\$\((hyperstream [^)]*)\)", line):
        problem = wrong(inner)
        if problem:
            return problem
    return None


def _leads(words: list[str], at: int) -> bool:
    return all(_ASSIGNMENT.match(word) for word in words[:at])


def _pipeline(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", "||", ";"):
            parts.append([])
        elif word in (">", ">>", "<"):
            parts.append(["#redirect"])
        else:
            parts[-1].append(word)
    return [part for part in parts if part and part[0] != "#redirect"]


def _judge(words: list[str]) -> str | None:
    program = words[0].removeprefix(".venv/bin/")
    judges = {
        "hyperstream": lambda: hyperstream(words[1:]),
        "make": lambda: _make(words[1:]),
        "curl": lambda: _curl(words[1:]),
        "pip": lambda: _pip(words[1:]),
        "python": lambda: _python(words[1:]),
        "pytest": lambda: _files(words[1:]),
        "serve": lambda: _files(words[2:]),
        "docker": lambda: _docker(words[1:]),
        "head": lambda: None,
        "jq": lambda: None,
    }
    if program in judges:
        return judges[program]()
    return None if program in OTHERS else "neither ours nor among tests/unit/docs/docs_shell.py:OTHERS"


@cache
def _tree():
    return typer.main.get_command(app)


def hyperstream(words: list[str]) -> str | None:
    """Do commands and options exist, and does the command line take them? Nothing is run."""
    command, path = _tree(), ["hyperstream"]
    while words and getattr(command, "commands", None) and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command '{words[0]}' of {' '.join(path)}; there are {', '.join(command.commands)}"
        command = command.commands[words[0]]
        path.append(words[0])
        words = words[1:]
    if words in (["--help"], ["--version"]) or not words:
        return None if words or not _needs(command) else "an argument is missing"
    try:
        command.make_context(path[-1], list(words))
    except SystemExit:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return None


def _needs(command) -> bool:
    return any(one.required for one in command.params) and not getattr(command, "commands", None)


def known(words: list[str]) -> str | None:
    """For a mention in prose: do commands and options exist? Arguments may be missing."""
    command = _tree()
    while words and getattr(command, "commands", None) and re.fullmatch(r"[a-z][a-z0-9-]*", words[0]):
        if words[0] not in command.commands:
            return f"no command '{words[0]}'"
        command, words = command.commands[words[0]], words[1:]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {
        "--help",
        "--version",
    }
    for word in words:
        if word.startswith("--") and word.split("=")[0] not in options:
            return f"no option '{word}'"
    return None


def _make(words: list[str]) -> str | None:
    for word in words:
        name = word.split("=")[0]
        if "=" in word and not re.search(rf"\$\({name}\)|\b{name} \?=|\({name}\)", _MAKEFILE):
            return f"the Makefile reads no variable {name}"
        if "=" not in word and not re.search(rf"^{re.escape(word)}:", _MAKEFILE, re.MULTILINE):
            return f"the Makefile has no target {word}"
    return None


@cache
def _paths() -> dict[str, set[str]]:
    paths = openapi_document()["paths"]
    shown = {path: {method.upper() for method in operations} for path, operations in paths.items()}
    return {**shown, "/metrics": {"GET"}, "/graphql": {"POST"}, "/docs": {"GET"}, "/openapi.json": {"GET"}}


def _curl(words: list[str]) -> str | None:
    url = next((word for word in words if "localhost" in word or "127.0.0.1" in word), None)
    if url is None:
        return "asks no address of a mesh"
    path = urlsplit(url if "://" in url else f"http://{url}").path
    body = words[words.index("-d") + 1] if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
    if body is not None:
        try:
            json.loads(body)
        except ValueError as error:
            return f"the body is no JSON: {error}"
    return call(method, path)


def call(method: str, path: str) -> str | None:
    """Is there such a call? `{name}` and a concrete value are alike."""
    for known_path, methods in _paths().items():
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(known_path))
        if re.fullmatch(pattern, path) and method in methods:
            return None
    return f"no call {method} {path}"


def _pip(words: list[str]) -> str | None:
    for extra in re.findall(r"hyperstream-mesh\[([\w,]+)\]", " ".join(words)):
        missing = set(extra.split(",")) - set(_EXTRAS)
        if missing:
            return f"no extra {missing}"
    return None


def _python(words: list[str]) -> str | None:
    if words[0] == "-m":
        return None if importlib.util.find_spec(words[1]) else f"no module {words[1]}"
    return None if words[0].endswith(".py") else "neither a module nor a file"


def _files(words: list[str]) -> str | None:
    missing = [
        word for word in words if not word.startswith("-") and not (ROOT / word.split("::")[0]).exists()
    ]
    return f"no file {missing}" if missing else None


def _docker(words: list[str]) -> str | None:
    image = next((at for at, word in enumerate(words) if word.startswith("hyperstream-mesh:")), None)
    return None if words[0] != "run" or image is None else hyperstream(words[image + 1 :])
