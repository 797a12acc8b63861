"""Bytes under keys, with conditional writes: what a registry needs of a folder or a bucket.

`FolderObjects` is for one machine or a file system with locks (`flock`); a key's tag is the digest of its bytes.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mesh.errors import MeshError


class Changed(MeshError):
    """Another writer was first: what is stored under the key is not what the caller knew."""


class StorageFailed(MeshError):
    """The folder or bucket cannot be read or written; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes and the tag that names this state of them."""

    data: bytes
    tag: str


class Objects(Protocol):
    """Keys are relative paths with `/`."""

    def get(self, key: str) -> Stored | None:
        """None where there is nothing. Raises `StorageFailed`."""
        ...

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write where the present state's tag is `tag` (None: where there is nothing); returns the new tag.

        Raises `Changed`, `StorageFailed`.
        """
        ...

    def keys(self, prefix: str) -> list[str]:
        """All keys below a prefix that ends in `/`, ascending. Raises `StorageFailed`."""
        ...


class FolderObjects:
    """A folder; made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Stored | None:
        """See `Objects`."""
        with _told(self._folder):
            try:
                data = self._path(key).read_bytes()
            except FileNotFoundError:
                return None
        return Stored(data, _tag(data))

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """See `Objects`. A reader sees the old bytes or the new ones, never a part."""
        path = self._path(key)
        with _told(self._folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._locked():
                present = self.get(key)
                if (present.tag if present else None) != tag:
                    raise Changed(f"{key} was changed by another writer: read it again")
                fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
                with fresh.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(path)
        return _tag(data)

    def keys(self, prefix: str) -> list[str]:
        """See `Objects`."""
        with _told(self._folder):
            found = (self._folder / prefix).rglob("*")
            return sorted(
                path.relative_to(self._folder).as_posix()
                for path in found
                if path.is_file() and not path.name.startswith(".")
            )

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise StorageFailed(f"{self._folder}: the key '{key}' leaves the folder")
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The lock is the kernel's: it goes with a writer that dies.
        with (self._folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"the registry at {folder}: {error.strerror}: {error.filename}") from error
