"""Is a port of this machine free, and what changes it if not."""

import errno
import socket
from dataclasses import dataclass

from mesh.errors import MeshError


@dataclass(frozen=True, slots=True)
class Port:
    """A port that we mean to listen on, and the setting that moves it."""

    number: int
    purpose: str
    variable: str


class PortTaken(MeshError):
    """Something else listens on `port`."""

    def __init__(self, port: Port, remedy: str | None = None) -> None:
        advice = remedy or f"end whatever listens there, or set {port.variable} to another port"
        super().__init__(f"port {port.number} ({port.purpose}) is taken: {advice}")
        self.port = port


def check_free(port: Port, remedy: str | None = None, host: str = "127.0.0.1") -> None:
    """`PortTaken` where `port` cannot be listened on."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT do not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port.number))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortTaken(port, remedy) from None
            raise


def is_listening(number: int, host: str = "127.0.0.1", timeout_s: float = 0.5) -> bool:
    """True where something accepts connections."""
    try:
        socket.create_connection((host, number), timeout_s).close()
    except OSError:
        return False
    return True
