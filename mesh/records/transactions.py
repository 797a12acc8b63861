"""Transactions for callers on an event loop: one thread writes, a few read, and what waits shares a commit.

Committing is what a write costs (SQLite waits for the disk), so the writing thread takes all changes that wait and commits
once: group commit, as in databases themselves. Nobody hears of success before the commit. Where one of them fails, which is
rare, all of it is rolled back and each is done again by itself: cheaper than a savepoint for each of many that do not fail.
Where the database does not answer, nothing is done again: it would not answer the next one either, and a commit whose answer was
lost may stand.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session

from mesh.errors import Overloaded, StoreAway
from mesh.records.database import Database
from mesh.records.times import WAIT_S

Result = TypeVar("Result")

TOGETHER: Final = 64
"""Changes of one commit, at most."""
WAITING: Final = 1_024
"""Changes that may wait; one more is refused."""
READERS: Final = 4
_NAME: Final = "the database of records"


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[Session], Any]
    future: "Future[Any]" = field(default_factory=Future)
    outcome: Any = None
    asked: float = field(default_factory=time.monotonic)


class Transactions:
    """Reads and writes of one process. `close` finishes what waits."""

    def __init__(self, database: Database, waiting: int = WAITING, wait_s: float = WAIT_S) -> None:
        """`waiting` bounds the changes, and the reads, that may wait; `wait_s` how long a change waits for those before it."""
        self._database, self._wait_s = database, wait_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._waiting = waiting
        self._reading = 0
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="records-read")
        self._writer = threading.Thread(target=self._run, name="records-write", daemon=True)
        self._writer.start()
        self._closed = False

    async def write(self, work: Callable[[Session], Result]) -> Result:
        """What `work` returns, once it is committed; `work` runs in the writing thread, in one transaction.

        It may be one of several in the transaction, and it may be done twice, the first time rolled back: it must change nothing
        but the database, not commit, and take milliseconds. Raises what `work` raises (nothing of it stays), `Overloaded`, and
        `StoreAway`: nothing of it stays, unless the connection broke during the commit itself.
        """
        if self._closed:
            raise Overloaded(_NAME, "it is being closed")
        job = _Job(work)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise Overloaded(_NAME, f"{self._waiting} changes wait") from None
        result: Result = await asyncio.wrap_future(job.future)
        return result

    async def read(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, from a reading thread. Raises what `work` raises, `Overloaded`."""
        if self._closed or self._reading >= self._waiting:
            raise Overloaded(_NAME, "it is being closed" if self._closed else f"{self._reading} reads wait")
        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, work)
        finally:
            self._reading -= 1

    async def close(self) -> None:
        """Take no more, finish what waits, let go of the database."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._jobs.put, None)
            await asyncio.to_thread(self._writer.join)
            await asyncio.to_thread(self._readers.shutdown)
            self._database.close()

    def _run(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            batch = [first]
            ended = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < TOGETHER and not ended:
                    job = self._jobs.get_nowait()
                    if job is None:
                        ended = True
                    else:
                        batch.append(job)
            self._commit([job for job in batch if job.future.set_running_or_notify_cancel()])
            if ended:
                return

    def _commit(self, batch: list[_Job]) -> None:
        """All in one transaction; where the work of one raises, all is undone and each is done again in its own."""
        batch = [job for job in batch if not self._late(job)]
        if not batch:
            return
        error, again = self._committed(batch)
        if error is not None and again and len(batch) > 1:
            for job in batch:
                self._commit([job])
        elif error is not None:
            for job in batch:
                job.future.set_exception(error)

    def _late(self, job: _Job) -> bool:
        """Whether it has waited too long, and was told so: its caller would wait once more for a database that is away."""
        late = time.monotonic() - job.asked > self._wait_s
        if late:
            job.future.set_exception(
                StoreAway(_NAME, f"the changes before this one took {self._wait_s:.0f} s")
            )
        return late

    def _committed(self, batch: list[_Job]) -> tuple[Exception | None, bool]:
        """Why nothing of `batch` is done, or None where all of it is; and whether it was the work of one alone."""
        working = False
        try:
            with self._database.write() as session:
                working = True
                for job in batch:
                    job.outcome = job.work(session)
                    session.flush()
                    session.expunge_all()  # the next one shall not see this one's objects
                working = False
        except Exception as error:  # noqa: BLE001 - its caller must hear of it, whatever it is
            return error, working and not isinstance(error, StoreAway)
        for job in batch:
            job.future.set_result(job.outcome)
        return None, False
