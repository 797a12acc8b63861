"""The log of predictions and the heartbeats, each from its two sides."""

from collections.abc import Sequence
from typing import Protocol

from mesh.stores.predictions.beats import Beat, Heard
from mesh.stores.predictions.entry import Entry, Slice


class PredictionLog(Protocol):
    """What was predicted lately. Cursors are those of `mesh.stores.predictions.entry`."""

    async def newest(self) -> str:
        """The cursor of the last entry, `BEGINNING` where there is none. Raises `StoreAway`."""
        ...

    async def after(self, cursor: str, limit: int, upto: str | None = None) -> Slice:
        """The first `limit` entries after a cursor, up to and with `upto`. Raises `StoreAway`."""
        ...

    async def before(self, cursor: str | None, since: str, limit: int) -> Sequence[Entry]:
        """The last `limit` entries before a cursor (None: of all) and after `since`, newest first. Raises `StoreAway`."""
        ...


class LogTail(Protocol):
    """What is predicted now."""

    async def read(self, cursor: str) -> Slice:
        """Some entries after a cursor; waits about a second for the first, and is empty where none comes. Raises `StoreAway`."""
        ...


class BeatWriter(Protocol):
    """Where replicas beat."""

    async def beat(self, beat: Beat) -> None:
        """Keep this word in place of the replica's last. Raises `StoreAway`."""
        ...


class BeatReader(Protocol):
    """Who reads the beats."""

    async def heard(self) -> Sequence[Heard]:
        """The last beat of each replica, those of dead ones too, for about an hour. Raises `StoreAway`."""
        ...
