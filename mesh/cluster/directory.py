"""The directory of replicas: a named Ray actor that holds leases, and the two loops that talk to it.

Replicas renew their lease every `RENEW_S`; engines long-poll for changes. Nothing depends on it being there:
when it is killed Ray starts it again, leases come back with the next renewal, and until then engines use what
they know.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ray.exceptions import RayError

from mesh.bounded import within
from mesh.cluster.actors import end_this_actor, find_or_start
from mesh.cluster.leases import RENEW_S, Leases
from mesh.engine.replica import Replica

NAME: Final = "hyperstream-directory"
WATCH_S: Final = 30.0
"""How long one long poll lasts."""

_CALL_TIMEOUT_S = 2.0
_RETRY_S = (0.1, 0.3, 1.0, 2.0)
_SWEEP_S = 0.5

logger = logging.getLogger("ray.serve")


class Directory:
    """The actor around `Leases`. Secrets travel inside the replicas: only this Ray cluster can ask."""

    def __init__(self) -> None:
        """Begin empty; replicas make themselves known within `RENEW_S`."""
        self._leases = Leases(epoch=time.time_ns(), now=time.monotonic())
        self._changed = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None

    async def lease(self, replica: Replica) -> None:
        """Begin or prolong a replica's lease."""
        self._start_sweeper()
        if self._leases.renew(replica, time.monotonic()):
            self._tell()

    async def release(self, replica_id: str) -> None:
        """End a lease at once: the replica is going away."""
        if self._leases.release(replica_id, time.monotonic()):
            self._tell()

    async def watch(self, known: int, timeout_s: float) -> tuple[int, tuple[Replica, ...]]:
        """Revision and replicas once they differ from revision `known` (0: at once), or after `timeout_s`."""
        self._start_sweeper()
        give_up = time.monotonic() + timeout_s
        while (now := time.monotonic()) < give_up and not self._leases.news_for(known, now):
            wait = min(give_up - now, self._leases.settles_in(now) or timeout_s)
            changed = self._changed
            try:
                await within(max(wait, 0.01), changed.wait())
            except TimeoutError:
                continue
        if self._leases.news_for(known, time.monotonic()):
            return self._leases.revision, self._leases.replicas
        return known, ()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _start_sweeper(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            if self._leases.expire(now):
                self._tell()
            if self._leases.idle(now):
                end_this_actor()


class LeaseKeeper:
    """Keeps one replica in the directory, from `start` until `stop`."""

    def __init__(self, replica: Replica, rows_waiting: Callable[[], int]) -> None:
        """`rows_waiting` is asked at every renewal."""
        self._replica = replica
        self._rows_waiting = rows_waiting
        self._directory: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def running(self) -> bool:
        """The lease is being renewed, or will be as soon as there is a directory."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Stop renewing and give the lease back; without a directory it ends by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._directory is not None:
            try:
                await _call(self._directory.release.remote(self._replica.replica_id))
            except (RayError, TimeoutError) as error:
                logger.warning("lease of %s not given back: %s", self._replica.replica_id, error)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if self._directory is None:
                    self._directory = await find_or_start(NAME, Directory)
                lease = replace(self._replica, rows_waiting=self._rows_waiting())
                await _call(self._directory.lease.remote(lease))
                failures = 0
                await asyncio.sleep(RENEW_S)
            # ValueError: Ray's word for a named actor that is between two lives.
            except (RayError, TimeoutError, ValueError) as error:
                self._directory = None
                failures += 1
                logger.warning("directory does not answer, trying again: %s", error)
                await asyncio.sleep(_backoff(failures))


async def watch_directory(on_change: Callable[[tuple[Replica, ...]], None]) -> None:
    """Call `on_change` with all replicas whenever they change, for ever; cancel it to end it.

    While the directory is away `on_change` is not called: what was known stands.
    """
    known, failures = 0, 0
    directory: Any = None
    while True:
        try:
            if directory is None:
                directory = await find_or_start(NAME, Directory)
            revision, replicas = await within(WATCH_S + _CALL_TIMEOUT_S, _ask(directory, known))
            if revision != known:
                on_change(replicas)
                known = revision
            failures = 0
        # ValueError: Ray's word for a named actor that is between two lives.
        except (RayError, TimeoutError, ValueError) as error:
            directory = None
            failures += 1
            logger.warning("directory does not answer, using what is known: %s", error)
            await asyncio.sleep(_backoff(failures))
        except Exception:  # whoever heard of no replica again would send rows to those that are gone
            failures += 1
            logger.exception("revision %d of the replicas could not be followed, trying again", known)
            await asyncio.sleep(_backoff(failures))


async def _ask(directory: Any, known: int) -> tuple[int, tuple[Replica, ...]]:
    answer: tuple[int, tuple[Replica, ...]] = await directory.watch.remote(known, WATCH_S)
    return answer


async def _call(reference: Any) -> None:
    await within(_CALL_TIMEOUT_S, reference)


def _backoff(failures: int) -> float:
    return _RETRY_S[min(failures, len(_RETRY_S)) - 1]
