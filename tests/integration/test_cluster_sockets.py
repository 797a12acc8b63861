"""The runtime folder of the Unix sockets: ours alone, and cleared of what dead replicas left."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.cluster.sockets import STALE_S, runtime_folder, socket_path


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="mesh-") as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return runtime_folder()


def test_the_folder_is_for_this_user_alone(folder: Path) -> None:
    assert folder.name == "hyperstream-mesh"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="mode 700"):
        runtime_folder()


def test_a_link_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "hyperstream-mesh").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        runtime_folder()


def test_sockets_of_dead_replicas_go_and_those_in_use_or_new_stay(folder: Path) -> None:
    def bound(name: str, *, listening: bool) -> tuple[Path, socket.socket]:
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(folder / name))
        if listening:
            one.listen()
        return folder / name, one

    dead, first = bound("dead.sock", listening=False)
    fresh, second = bound("fresh.sock", listening=False)
    alive, third = bound("alive.sock", listening=True)
    first.close()
    long_ago = dead.stat().st_mtime - STALE_S - 1
    for path in (dead, alive):
        os.utime(path, (long_ago, long_ago))
    path = socket_path()
    assert not dead.exists()
    assert fresh.exists()
    assert alive.exists()
    assert not path.exists()
    second.close()
    third.close()
