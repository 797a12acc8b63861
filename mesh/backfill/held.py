"""Tables that must wait until something is known of those after them: on disk, so that a whole day of them takes no memory."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd")


class Held:
    """Tables in the order that they came in, each with its own columns; a context, which ends with its file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever holds this closes it
        self._tables = 0

    def add(self, table: pa.Table) -> None:
        """One more, behind the others; not once they are read."""
        with pa.ipc.new_stream(self._file, table.schema, options=_OPTIONS) as writer:
            writer.write_table(table)
        self._tables += 1

    def __iter__(self) -> Iterator[pa.Table]:
        """One at a time."""
        self._file.seek(0)
        for _ in range(self._tables):
            with pa.ipc.open_stream(self._file) as reader:
                table = reader.read_all()
            yield table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
