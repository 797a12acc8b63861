"""A Dockerfile as a list of instructions, and a way to run them without a Docker engine: in one clean folder per stage.

Absolute paths of the image lead into the stage's folder. What the base image brings (a Python, pip, coreutils) is this machine's.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_OWN = re.compile(r"(?<![\w.:/@~$-])/(?=(?:opt|src|wheels|home|usr/local|etc)\b)")
_TIMEOUT_S = 400


@dataclass(frozen=True)
class Instruction:
    """One of a stage; `text` is what follows the keyword, on one line."""

    keyword: str
    text: str


@dataclass(frozen=True)
class Stage:
    """What follows a FROM."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def values(self, keyword: str) -> list[str]:
        return [one.text for one in self.instructions if one.keyword == keyword]


def stages(text: str) -> dict[str, Stage]:
    """By name, in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            base, name = rest.split(" AS ")
            found[name] = Stage(name, base)
        elif found:
            list(found.values())[-1].instructions.append(Instruction(keyword, rest.strip()))
    return found


class Builder:
    """Builds stages below `root` from the files of `context`; `before_run` sees every command first."""

    def __init__(
        self, root: Path, context: Path, before_run: Callable[[Path, str], None], environment: dict[str, str]
    ) -> None:
        self._root, self._context = root, context
        self._before_run, self._environment = before_run, environment
        self.ran: list[str] = []

    def folder(self, stage: str) -> Path:
        return self._root / stage

    def build(self, stage: Stage, known: dict[str, Stage]) -> Path:
        folder = self.folder(stage.name)
        if stage.base in known:
            _clone(self.folder(stage.base), folder)
        else:
            _base_image(folder)
        workdir = "/"
        for base in _line(stage, known):
            for one in base.instructions:
                if one.keyword == "WORKDIR":
                    workdir = one.text
                    (folder / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
                if base is not stage:
                    continue
                if one.keyword == "COPY":
                    self._copy(folder, workdir, one.text)
                elif one.keyword == "RUN":
                    self._run(folder, workdir, one.text)
        return folder

    def _copy(self, folder: Path, workdir: str, text: str) -> None:
        source = self._context
        if text.startswith("--from="):
            stage, _, text = text.removeprefix("--from=").partition(" ")
            source = self.folder(stage)
        *names, target = text.split()
        to = folder / (Path(workdir) / target).as_posix().lstrip("/")
        for name in names:
            path = source / name.lstrip("/")
            assert path.exists(), f"COPY {text}: {name} is not there"
            place = to / path.name if target.endswith("/") else to
            place.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                shutil.copy2(path, place)
            elif source == self._context:
                shutil.copytree(path, place)
            else:  # what comes from another stage is not written to any more
                place.symlink_to(path)

    def _run(self, folder: Path, workdir: str, command: str) -> None:
        self._before_run(folder, command)
        self.ran.append(command)
        path = f"{folder}/shims:{folder}/opt/venv/bin:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin"
        done = subprocess.run(
            ["sh", "-ec", _OWN.sub(f"{folder}/", command)],
            cwd=folder / workdir.lstrip("/"),
            env={"PATH": path, "HOME": str(folder / "home"), **self._environment},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def _clone(source: Path, target: Path) -> None:
    """The same tree by hard links; scripts and links in it then lead to where they are now."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link)
    for folder in (target / "opt" / "venv" / "bin", target / "usr" / "local" / "bin"):
        if not folder.is_symlink() and folder.is_dir():
            _lead_here(folder, source, target)


def _lead_here(folder: Path, source: Path, target: Path) -> None:
    for path in folder.iterdir():
        if path.is_symlink():
            to = str(path.readlink())
            if to.startswith(f"{source}/"):
                path.unlink()
                path.symlink_to(to.replace(str(source), str(target), 1))
        elif path.is_file() and path.read_bytes().startswith(f"#!{source}/".encode()):
            own(path, folder / "python")


def own(script: Path, python: Path) -> None:
    """Let a script run with `python`, without touching other links to it."""
    body, mode = script.read_bytes(), script.stat().st_mode
    script.unlink()
    script.write_bytes(b"#!" + str(python).encode() + b"\n" + body.split(b"\n", 1)[1])
    script.chmod(mode)


def _line(stage: Stage, known: dict[str, Stage]) -> list[Stage]:
    """The stages that it stands on, oldest first, and itself."""
    return [*(_line(known[stage.base], known) if stage.base in known else ()), stage]


def _base_image(folder: Path) -> None:
    for name in ("etc", "home", "opt", "src", "usr/local/bin", "shims"):
        (folder / name).mkdir(parents=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (folder / "etc" / name).touch()
    shim = folder / "shims" / "useradd"
    shim.write_text(f'#!/bin/sh\nexec /usr/sbin/useradd --prefix {folder} "$@"\n')
    shim.chmod(0o755)
