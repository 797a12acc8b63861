"""From the polling thread to the worker's loop: partitions come with their past, and go with their state written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ingest.telemetry.past import past_of
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import StoreAway
from ingest.telemetry.worker import TelemetryWorker

logger = logging.getLogger(__name__)


class StateFollower:
    """The `Follower` of the telemetry stream."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, worker: TelemetryWorker, snapshots: Snapshots
    ) -> None:
        self._loop, self._worker, self._snapshots = loop, worker, snapshots

    def begin(self, partition: int, committed: int | None, note: str, /) -> int | None:
        """Where the state of the partition ends, which is where its records must be read again."""
        # Nothing was ever done with: what is kept under this name is of a topic that is gone
        if committed is None:
            self._in_turn(lambda: self._snapshots.begin_anew([partition]))
        past = past_of(note)
        # Readers leave a note at every offset that they commit.
        moved_to = committed if past is None else None
        if committed is None or (past is not None and past.resume > committed):
            past = None
        self._in_turn(lambda: self._worker.begin(partition, past, moved_to))
        return None if past is None else past.resume

    def note(self, partition: int, /) -> str:
        """See `Follower`."""
        return self._snapshots.note(partition)

    def save(self, partitions: Sequence[int], timeout_s: float, /) -> None:
        """Write the state, so that nothing has to be read again; what cannot be written in time is."""
        saved = asyncio.run_coroutine_threadsafe(self._save(partitions), self._loop)
        try:
            saved.result(timeout_s)
        except (TimeoutError, StoreAway) as error:
            saved.cancel()
            logger.warning(
                "the state of partitions %s was not written: %s",
                sorted(partitions),
                str(error) or "no time was left",
            )

    def end(self, partitions: Sequence[int], /) -> None:
        """See `Follower`."""
        gone = tuple(partitions)
        self._in_turn(lambda: self._worker.end(gone))

    async def _save(self, partitions: Sequence[int]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()

        async def work() -> None:
            try:
                await self._worker.save(partitions)
            except StoreAway as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(None)

        self._worker.in_turn(work)
        await done

    def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        self._loop.call_soon_threadsafe(self._worker.in_turn, work)
