"""The machine: processors, memory, disk, GPU, versions."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from mesh.doctor.finding import Finding
from mesh.telemetry import container
from mesh.telemetry.node import Gpu

PACKAGE: Final = "hyperstream-mesh"
_GB: Final = 1e9
_PYTHON: Final = (3, 11)


def versions() -> Iterator[Finding]:
    """Python, and every package that the mesh cannot do without, at a version that it takes."""
    python = platform.python_version()
    if sys.version_info < _PYTHON:
        yield Finding("versions", "problem", f"Python {python}", "use Python 3.11 or newer")
    try:
        declared = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("versions", "problem", f"{PACKAGE} is not installed", "run make setup")
        return
    wrong = [words for text in declared if (words := _unmet(text))]
    for words in wrong:
        yield Finding("versions", "problem", words, "run make setup, or pip install -c constraints.txt -e .")
    if not wrong:
        yield Finding("versions", "ok", f"Python {python}, Ray {importlib.metadata.version('ray')}")


def _unmet(text: str) -> str | None:
    """Why a requirement is not met; None where it is, or belongs to an extra."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    return f"{requirement.name} {installed} is installed, {requirement.specifier} is needed"


def disk(folder: Path | None = None) -> Iterator[Finding]:
    """Room where Ray writes its logs and spills objects."""
    place = folder or Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    usage = shutil.disk_usage(place)
    yield disk_room(place, usage.free, usage.total)


def disk_room(place: Path, free: float, total: float) -> Finding:
    """What so many bytes of so many mean.

    Bytes decide whether there is a problem: logs, history and the embedded servers need some. Past 95 % Ray spills no more
    objects, which the mesh lives without, so a share of a large disk is worth a note only.
    """
    words = f"{free / _GB:.0f} GB free of {total / _GB:.0f} at {place}"
    if free < _GB:
        return Finding(
            "disk", "problem", words, f"make room below {place}, or set RAY_TMPDIR to a larger disk"
        )
    if free < 0.15 * total or free < 3 * _GB:
        return Finding(
            "disk", "note", words, "old runs are in ray/session_* there; Ray spills no objects past 95 %"
        )
    return Finding("disk", "ok", words)


def memory(*, running: bool) -> Iterator[Finding]:
    """Memory and processors."""
    yield memory_room(container.memory(), os.cpu_count() or 1, running=running)
    shm = Path("/dev/shm")  # noqa: S108 - where Ray keeps objects
    if shm.exists() and shutil.disk_usage(shm).total < _GB:
        size = shutil.disk_usage(shm).total / 1e6
        yield Finding(
            "memory", "note", f"{shm} has {size:.0f} MB", "in a container, start it with --shm-size=2g"
        )


def memory_room(found: container.Memory, cores: int, *, running: bool) -> Finding:
    """What so much memory means. A mesh of the shipped models needs about 3 GB to start; one that runs has taken them already."""
    words = f"{found.available / _GB:.1f} GB available of {found.total / _GB:.1f}, {cores} cores"
    least = 0.1 * found.total if running else 2 * _GB
    if found.available >= least:
        return Finding("memory", "ok", words)
    return Finding(
        "memory", "problem", words, "end other programs, or host fewer models (config/models.yaml)"
    )


def gpu(found: Sequence[Gpu], wanted: bool) -> Iterator[Finding]:
    """The GPUs that there are, where the configuration wants one."""
    if found:
        sizes = ", ".join(f"{one.memory_total / _GB:.0f} GB" for one in found)
        yield Finding("gpu", "ok", f"{len(found)} ({sizes})")
    elif wanted:
        remedy = "install the driver, or set num_gpus: 0 in models.yaml"
        yield Finding("gpu", "problem", "a model wants a GPU and nvidia-smi shows none", remedy)
    else:
        yield Finding("gpu", "ok", "none, and none is wanted")
