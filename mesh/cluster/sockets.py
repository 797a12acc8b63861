"""Where replicas listen: Unix sockets in a folder of this user, and an address for other nodes."""

import os
import secrets
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

import ray

STALE_S: Final = 60.0
"""Socket files of dead replicas are removed after this; younger ones may be about to be listened on."""


def socket_path() -> Path:
    """A fresh path for a Unix socket in this user's runtime folder; removes what dead replicas left there."""
    folder = runtime_folder()
    for old in folder.glob("*.sock"):
        if _is_dead(old):
            old.unlink(missing_ok=True)
    return folder / f"{secrets.token_hex(8)}.sock"


def runtime_folder() -> Path:
    """`$XDG_RUNTIME_DIR/hyperstream-mesh`, or one in the temporary folder; `PermissionError` if not ours."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.access(base, os.W_OK):
        folder = Path(base) / "hyperstream-mesh"
    else:
        folder = Path(tempfile.gettempdir()) / f"hyperstream-mesh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a folder of user {os.getuid()} with mode 700")
    return folder


def listen_host(mesh_host: str) -> str:
    """The address to bind: `MESH_HOST`; this node's own where that is the loopback and other nodes exist."""
    if mesh_host in ("127.0.0.1", "localhost", "::1") and sum(node["Alive"] for node in ray.nodes()) > 1:
        return node_address()
    return mesh_host


def node_address() -> str:
    """This node's address in the Ray cluster."""
    return str(ray.util.get_node_ip_address())


def advertised_host(bound: str) -> str:
    """The address that others should use for one that was bound: all interfaces are reached by the node's."""
    return node_address() if bound in ("0.0.0.0", "::") else bound  # noqa: S104 - compared, not bound


def _is_dead(path: Path) -> bool:
    try:
        if time.time() - path.stat().st_mtime < STALE_S:
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
