"""Where the audit log ends, told to places outside its database: only against these does a rewrite of the whole log show."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from mesh.records.entry import Head

EVERY_S: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A head as it is published. `at` is milliseconds since 1970; `chain`, the first entry's hash, says which log it is of."""

    chain: str
    seq: int
    hash: str
    at: int


def head_json(head: PublishedHead) -> bytes:
    """One JSON object."""
    return msgspec.json.encode(head)


def head_of_json(document: bytes) -> PublishedHead | None:
    """The head that `head_json` wrote; None for anything else."""
    try:
        return msgspec.json.decode(document, type=PublishedHead)
    except msgspec.DecodeError:
        return None


def short_number(digest: str) -> int:
    """The first 13 hexadecimal digits as a number: as many as a metric, a 64-bit float, holds exactly."""
    return int(digest[:13], 16)


class HeadSink(Protocol):
    """Where heads go."""

    def publish(self, head: PublishedHead) -> None:
        """Keep it; returns when it is kept. May block for seconds. Raises `MeshError`."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HeadObserver(Protocol):
    """Told of what was seen and sent, on the event loop."""

    def seen(self, head: Head) -> None:
        """The log ends here now."""
        ...

    def published(self, *, sent: bool) -> None:
        """A head was sent, or could not be."""
        ...


class HeadWatch:
    """Looks where the log ends, and publishes every end that is new. One task, from `start` to `stop`."""

    def __init__(
        self,
        look: Callable[[], Awaitable[tuple[str, Head]]],
        sink: HeadSink | None,
        observer: HeadObserver,
        every_s: float = EVERY_S,
    ) -> None:
        """`look` gives the first entry's hash and the head. Without a `sink` heads are only told to the `observer`."""
        self._look, self._sink, self._observer, self._every_s = look, sink, observer, every_s
        self._last = Head()
        self._away = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the event loop that runs."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Publish what is new for the last time, and end; takes at most as long as the sink takes for one head."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            if not self._away:
                await self.once()
        if self._sink is not None:
            try:
                await asyncio.to_thread(self._sink.close)
            except Exception as error:  # noqa: BLE001 - whoever stops has more to stop
                _LOG.warning("the sink of the audit log's ends is not closed: %s", error)

    async def once(self) -> None:
        """Look, tell, publish. What fails is tried again the next time, and said once."""
        try:
            chain, head = await self._look()
            self._observer.seen(head)
            if head != self._last and head.seq:
                await self._publish(chain, head)
            self._away = False
        except Exception as error:  # noqa: BLE001 - one that ends this task ends it for good, and silently
            if not self._away:
                _LOG.warning("the end of the audit log is not published: %s", error)
            self._away = True

    async def _publish(self, chain: str, head: Head) -> None:
        if self._sink is not None:
            told = PublishedHead(chain, head.seq, head.hash, time.time_ns() // 1_000_000)
            try:
                await asyncio.to_thread(self._sink.publish, told)
            except Exception:
                self._observer.published(sent=False)
                raise
            self._observer.published(sent=True)
        self._last = head

    async def _run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(self._every_s)
