"""A real Redis that a test may kill and start again, empty."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from tests.fakes.machine import free_port, program

START_S = 60.0


class RedisServer:
    """Runs from construction to `kill`, on a port of its own; `words` are further options of the server."""

    def __init__(self, folder: Path, *words: str, password: str | None = None, db: int = 0) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/{db}"
        secret = () if password is None else ("--requirepass", password)
        listening = ("--port", str(self.port), "--bind", "127.0.0.1")
        self._words = [program("redis-server", "redis-server"), *listening]
        self._words += ["--dir", str(folder), "--save", "", *secret, *words]
        self.client = redis.Redis(port=self.port, db=db, password=password)
        self.start()

    def start(self) -> None:
        """Begin, or begin again."""
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL)
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                time.sleep(0.02)
        pytest.fail("redis-server did not start")

    def stand_still(self) -> None:
        """Answer nobody until `go_on`, as a process does whose machine has no time for it."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """It forgets everything."""
        self._process.kill()
        self._process.wait(60)
        self.client.close()
