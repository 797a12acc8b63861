"""A way to a server that can fall silent, as when its machine goes away: connections stay, and nothing comes any more."""

import socket
import threading
from contextlib import suppress


class Forwarder:
    """Forwards to `host:port` from a port of its own."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._silent: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """Every connection there is now carries nothing any more; later ones do."""
        for silent in self._silent:
            silent.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            silent = threading.Event()
            self._silent.append(silent)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other, silent), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket, silent: threading.Event) -> None:
        with source, suppress(OSError):  # either side may end
            while data := source.recv(65536):
                if not silent.is_set():
                    target.sendall(data)
