"""A support bundle: what somebody who helps has to know, in one archive, without secrets."""

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.redaction import redact, redact_environ

MAX_FILE_BYTES: Final = 200_000
"""Of a log, its end; of another file, its beginning."""

MAX_LOGS: Final = 40
_OURS: Final = (
    "KAFKA_",
    "REDIS_",
    "ML_",
    "MESH_",
    "RAY_",
    "INGEST_",
    "OTEL_",
    "CUDA_",
    "PYTHON",
    "HYPERSTREAM_",
)
_CONFIG: Final = ("*.yaml", "*.yml", "scenarios/*.yaml", "rollouts/*.yaml")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the bundle; its text is redacted when it is written."""

    name: str
    text: str


def environment(environ: Mapping[str, str]) -> Entry:
    """The variables that the mesh or Ray read, one a line."""
    ours = {name: value for name, value in sorted(environ.items()) if name.startswith(_OURS)}
    lines = (f"{name}={value}" for name, value in redact_environ(ours).items())
    return Entry("environment.txt", "\n".join(lines) + "\n")


def configuration(folder: Path) -> Iterator[Entry]:
    """The files that users edit."""
    for pattern in _CONFIG:
        for file in sorted(folder.glob(pattern)):
            yield Entry(f"config/{file.relative_to(folder)}", _read(file, from_end=False))


def logs(folders: Mapping[str, Path]) -> Iterator[Entry]:
    """The ends of the newest logs of each folder, by the name that it has in the bundle."""
    for name, folder in folders.items():
        files = [file for file in folder.glob("*") if file.suffix in (".log", ".jsonl") and file.is_file()]
        files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[:MAX_LOGS]:
            yield Entry(f"logs/{name}/{file.name}", _read(file, from_end=True))


def write_bundle(path: Path, entries: Iterator[Entry]) -> list[str]:
    """Write `path` (.tar.gz), readable by its owner alone; the names in it. Every text is redacted here."""
    names = []
    path.touch(mode=0o600)
    path.chmod(0o600)  # also one that was there
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            body = redact(entry.text).encode(errors="replace")
            info = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{entry.name}")
            info.size, info.mtime, info.mode = len(body), int(time.time()), 0o600
            archive.addfile(info, io.BytesIO(body))
            names.append(entry.name)
    return names


def _read(file: Path, *, from_end: bool) -> str:
    try:
        with file.open("rb") as opened:
            if from_end:
                opened.seek(max(0, file.stat().st_size - MAX_FILE_BYTES))
            text = opened.read(MAX_FILE_BYTES).decode(errors="replace")
    except OSError as error:
        return f"could not be read: {error.strerror}\n"
    # The first line may have lost its beginning, and with it the name that would have hidden a value.
    return text.partition("\n")[2] if from_end and len(text) >= MAX_FILE_BYTES // 2 else text
