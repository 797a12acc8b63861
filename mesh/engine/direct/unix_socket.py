"""A Unix socket that only this user can reach: mode 600, in a folder of mode 700."""

import socket
import stat
from os import geteuid
from pathlib import Path
from typing import Final

from mesh.errors import InvalidConfig

MAX_PATH_BYTES: Final = 107
"""What Linux leaves of 108 bytes for a path and the zero at its end."""

_KEY: Final = "unix socket"


class UnixSocket:
    """A socket bound at `path`, whose folder is made if it is not there.

    A stale socket file, one that nobody listens on, is replaced. Raises `InvalidConfig` for a path that is
    too long, a folder that others may enter, or a path that is in use.
    """

    def __init__(self, path: str) -> None:
        size = len(path.encode())
        if size > MAX_PATH_BYTES:
            reason = f"is {size} bytes long, the system takes {MAX_PATH_BYTES}: choose a shorter folder"
            raise InvalidConfig(path, 0, _KEY, reason)
        self._path = Path(path)
        _private_folder(self._path.parent)
        _remove_stale(self._path)
        self.bound = _bind(self._path)
        self._file = self._path.stat().st_ino

    def close(self) -> None:
        """Remove the socket file, unless it is another's by now."""
        try:
            if self._path.stat().st_ino == self._file:
                self._path.unlink()
        except FileNotFoundError:
            return


def _bind(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        # The folder keeps others out until this is done. Not by umask: that belongs to the whole process.
        path.chmod(0o600)
    except OSError as error:
        bound.close()
        raise InvalidConfig(str(path), 0, _KEY, f"cannot be made: {error}") from None
    return bound


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
    except OSError as error:
        raise InvalidConfig(str(folder), 0, _KEY, f"its folder cannot be made: {error}") from None
    if state.st_uid != geteuid() or state.st_mode & 0o077:
        reason = f"its folder must belong to user {geteuid()} and to nobody else: chmod 700 {folder}"
        raise InvalidConfig(str(folder), 0, _KEY, reason)


def _remove_stale(path: Path) -> None:
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(state.st_mode):
        raise InvalidConfig(str(path), 0, _KEY, "exists and is no socket: remove it or choose another path")
    if _answers(str(path)):
        raise InvalidConfig(str(path), 0, _KEY, "another process listens there: choose another path")
    path.unlink(missing_ok=True)


def _answers(path: str) -> bool:
    """Whether someone listens; a full backlog counts, a socket file without a process does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True
