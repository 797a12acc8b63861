"""What follows the partitions of a reader, and how the polling thread tells it of them."""

from collections.abc import Sequence
from typing import Protocol


class Follower(Protocol):
    """Told on the polling thread, in the order in which partitions come and go. It must not block but in `save`."""

    def begin(self, partition: int, committed: int | None, note: str, /) -> int | None:
        """A partition has come, with its committed offset and the note kept beside that: where to begin to read.

        None means at the committed offset, or where `auto.offset.reset` says.
        """
        ...

    def note(self, partition: int, /) -> str:
        """What to keep in Kafka beside the next committed offset; at most a few hundred characters."""
        ...

    def save(self, partitions: Sequence[int], timeout_s: float, /) -> None:
        """These partitions are about to go, and their records are done with: the last moment to write for them."""
        ...

    def end(self, partitions: Sequence[int], /) -> None:
        """They are gone."""
        ...


class Nothing:
    """The follower of a stream without state."""

    def begin(self, _partition: int, _committed: int | None, _note: str) -> int | None:
        """See `Follower`."""
        return None

    def note(self, _partition: int) -> str:
        """See `Follower`."""
        return ""

    def save(self, _partitions: Sequence[int], _timeout_s: float) -> None:
        """See `Follower`."""

    def end(self, _partitions: Sequence[int]) -> None:
        """See `Follower`."""
