"""An environment with what a package declares and nothing else: links to the packages of the environment that runs the tests.

Takes seconds where installing takes minutes, and shows the same: a package that is used but not declared is missing.
"""

import os
from importlib.metadata import Distribution, distribution
from pathlib import Path

from dockerfile import own
from packaging.requirements import Requirement

PROJECT = "hyperstream-mesh"


def requirements(name: str, extras: frozenset[str]) -> set[str]:
    """Names of all that `name` with `extras` needs, and what those need."""
    found: dict[str, frozenset[str]] = {}
    waiting = [(name, extras)]
    while waiting:
        one, wanted = waiting.pop()
        if found.get(one, frozenset()) >= wanted and one in found:
            continue
        found[one] = found.get(one, frozenset()) | wanted
        waiting += [
            (_normal(need.name), frozenset(need.extras))
            for need in map(Requirement, distribution(one).requires or ())
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in {*wanted, ""})
        ]
    return {*found} - {name}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def link_into(environment: Path, extras: frozenset[str] = frozenset()) -> None:
    """Put all that the project with `extras` needs into the virtual environment, but not the project."""
    site = next((environment / "lib").glob("python3.*")) / "site-packages"
    for name in requirements(PROJECT, extras):
        _link(distribution(name), site, environment / "bin" / "python")


def _link(package: Distribution, site: Path, python: Path) -> None:
    for file in package.files or ():
        source = Path(str(package.locate_file(file)))
        if not source.is_file():
            continue
        target = Path(os.path.normpath(site / file))
        if not target.is_relative_to(site.parents[2]) or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
        if target.parent.name == "bin" and target.read_bytes()[:2] == b"#!":
            own(target, python)
