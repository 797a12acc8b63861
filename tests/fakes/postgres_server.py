"""A PostgreSQL of its own for the tests of one session: Debian's server, run by a user without rights."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.fakes.machine import free_port, missing

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


def _program(name: str) -> str:
    found = next((str(folder / name) for folder in reversed(_FOLDERS) if (folder / name).exists()), None)
    found = found or shutil.which(name)
    if found is None:
        missing(f"no {name} of PostgreSQL (Debian: apt-get install postgresql)")
    return str(found)


class PostgresServer:
    """Runs from construction to `close`; each test gets a database of its own."""

    def __init__(self) -> None:
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        initdb, self._postgres = _program("initdb"), _program("pg_ctl")
        self._folder = Path(tempfile.mkdtemp(prefix="mesh-postgres-"))
        if self._as:
            shutil.chown(self._folder, "postgres", "postgres")
        self._do(initdb, "-D", self._data, "-U", "mesh", "-A", "trust", "-N", "-E", "UTF8")
        self._port = free_port()
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._do(
            self._postgres,
            "-D",
            self._data,
            "-w",
            "-t",
            "30",
            "-l",
            f"{self._folder}/log",
            "-o",
            options,
            "start",
        )

    @property
    def _data(self) -> str:
        return f"{self._folder}/data"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database."""
        name = f"mesh_{uuid.uuid4().hex[:12]}"
        self._say(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql://mesh@127.0.0.1:{self._port}/{name}"
        finally:
            self._say(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._do(self._postgres, "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, statement: str) -> None:
        with psycopg.connect(
            f"postgresql://mesh@127.0.0.1:{self._port}/postgres", autocommit=True
        ) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _do(self, *words: str) -> None:
        subprocess.run([*self._as, *words], check=True, capture_output=True, timeout=60, cwd="/")
