"""A server in a process of its own that ends with us: at `stop`, at exit, and also when we are killed."""

import atexit
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mesh.errors import MeshError


class ServerFailed(MeshError):
    """A server that we started ended or did not answer in time; the message holds its last words."""


class Child:
    """A running server. Make one with `start`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.log = name, log
        self._process = process
        atexit.register(self.stop)

    @classmethod
    def start(cls, name: str, module: str, arguments: Sequence[str], log: Path) -> "Child":
        """Run `python -m module arguments`, which must end when its standard input closes. It writes `log`.

        It gets a session of its own, so that Ctrl-C in a terminal reaches us alone and it lives while we
        drain.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def alive(self) -> bool:
        """True until the process has ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when `ready()` is true; `ServerFailed` where the process ends first or time runs out."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            ended = not self.alive
            if ended or time.monotonic() > deadline:
                self.stop()
                how = "ended" if ended else f"did not answer within {timeout_s:.0f} s"
                raise ServerFailed(f"{self.name} {how}; its last words ({self.log}):\n{self._last_words()}")
            time.sleep(0.02)

    def wait(self) -> None:
        """Return when the process ends by itself; raises `ServerFailed` where it failed."""
        if self._process.wait() != 0:
            raise ServerFailed(f"{self.name} ended; its last words ({self.log}):\n{self._last_words()}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the process and wait for it; one that has ended already is fine."""
        atexit.unregister(self.stop)
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) or "(nothing)"
