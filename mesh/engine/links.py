"""The open connections to one model's replicas: kept open while their leases last, and chosen from."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from mesh.engine.direct.link import Link
from mesh.engine.replica import Replica
from mesh.errors import MeshError

_RECONNECT_S: Final = (0.05, 0.2, 1.0, 2.0)
_FIRST_LINK_S: Final = 1.0
"""How long a call waits for a link that is being opened before it takes the handle."""


class Links:
    """Links by replica id. Slots count the calls that are out to each."""

    def __init__(self, node: str, max_inflight: int, retire_s: float, on_open: Callable[[], None]) -> None:
        """At most `max_inflight` calls a replica; one whose lease ends has `retire_s` to finish them."""
        self._node = node
        self._max_inflight = max_inflight
        self._retire_s = retire_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._leases: Mapping[str, Replica] = {}
        self._links: dict[str, Link] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False
        self.slots: Counter[str] = Counter()

    def follow(self, leases: Sequence[Replica]) -> None:
        """Open links to new replicas, let go of those whose lease has ended."""
        fresh = {replica.replica_id: replica for replica in leases}
        for replica_id in self._leases.keys() - fresh.keys():
            self._forget(replica_id)
        self._leases = fresh
        for replica_id in fresh.keys() - self._links.keys() - self._opening.keys():
            self._open(replica_id)

    def free_slots(self) -> int | None:
        """Calls that may go out now; None where no link is open."""
        taken = self.slots.get  # a Counter's own lookup of what is not in it costs more than all else here
        free = [
            max(0, self._max_inflight - taken(replica_id, 0))
            for replica_id, link in self._links.items()
            if not link.going_away
        ]
        return sum(free) if free else None

    @property
    def taken_slots(self) -> int:
        """Calls that are out."""
        return sum(self.slots.values())

    def choose(self, tried: set[str]) -> Link | None:
        """One with a free slot, on this node, with the least rows in flight: in this order of weight."""
        best: Link | None = None
        best_load = (True, True, 0)
        taken = self.slots.get
        for replica_id, link in self._links.items():
            if link.going_away or replica_id in tried:
                continue
            load = (
                taken(replica_id, 0) >= self._max_inflight,
                link.replica.node != self._node,
                link.rows_in_flight,
            )
            if best is None or load < best_load:
                best, best_load = link, load
        return best

    def full(self, link: Link) -> bool:
        """Whether as many calls are out to its replica as may be."""
        return self.slots.get(link.replica.replica_id, 0) >= self._max_inflight

    async def choose_soon(self, tried: set[str]) -> Link | None:
        """As `choose`; where a link is just being opened, it is waited for briefly."""
        opening = [task for replica_id, task in self._opening.items() if replica_id not in tried]
        if opening:
            await asyncio.wait(opening, timeout=_FIRST_LINK_S, return_when=asyncio.FIRST_COMPLETED)
        return self.choose(tried)

    async def close(self) -> None:
        """Close every link and end every task."""
        self._closed = True
        tasks = [*self._retiring, *self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()), return_exceptions=True)
        self._links.clear()

    def _open(self, replica_id: str) -> None:
        task = self._loop.create_task(self._keep_trying(replica_id))
        self._opening[replica_id] = task
        task.add_done_callback(lambda done: self._opened(replica_id, done))

    def _opened(self, replica_id: str, task: asyncio.Task[None]) -> None:
        if self._opening.get(replica_id) is task:
            del self._opening[replica_id]

    async def _keep_trying(self, replica_id: str) -> None:
        """Until the link is open or the lease is gone."""
        attempt = 0
        while not self._closed and (replica := self._leases.get(replica_id)):
            try:
                link = await self._connect(replica)
            except MeshError:  # the end of its lease ends this, if the replica is really gone
                await asyncio.sleep(_RECONNECT_S[min(attempt, len(_RECONNECT_S) - 1)])
                attempt += 1
                continue
            self._links[replica_id] = link
            self._loop.call_soon(self._on_open)
            return

    async def _connect(self, replica: Replica) -> Link:
        link: Link | None = None

        def lost() -> None:
            self._lost(replica.replica_id, link)

        link = await Link.open(replica, self._node, on_lost=lost)
        return link

    def _lost(self, replica_id: str, link: Link | None) -> None:
        if self._links.get(replica_id) is not link:  # it was retiring, and its lease has a new one by now
            return
        self._links.pop(replica_id, None)
        if not self._closed and replica_id in self._leases and replica_id not in self._opening:
            self._open(replica_id)

    def _forget(self, replica_id: str) -> None:
        if task := self._opening.pop(replica_id, None):
            task.cancel()
        if link := self._links.pop(replica_id, None):
            self._keep(self._retire(link))

    async def _retire(self, link: Link) -> None:
        """Calls in flight may finish."""
        give_up = time.monotonic() + self._retire_s
        try:
            while link.calls_in_flight and time.monotonic() < give_up:  # noqa: ASYNC110 - rare, and a link tells no one
                await asyncio.sleep(0.05)
        finally:
            await link.close()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
