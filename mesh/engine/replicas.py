"""The replicas of one model: which one takes a call, what happens when it dies, and the handle path for when there is none."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.engine.batcher import Done, Outcome
from mesh.engine.direct.link import Link, LinkLost
from mesh.engine.ports import CallOutcome, HandlePath, ModelPolicy, Observer
from mesh.engine.replica import Replica
from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded, Unavailable
from mesh.routing.breaker import Breaker
from mesh.routing.types import FailureKind, Scored, Signature, Tensors, Unreachable
from mesh.wire import Failure, Reply, Request, pack, unpack
from mesh.wire.errors import error_of

HANDLE_CALLS = 4
"""Calls out at once through the handle, which has no flow control of its own."""

_RECONNECT_S = (0.05, 0.2, 1.0, 2.0)
_FIRST_LINK_S = 1.0
"""How long a call waits for a link that is being opened before it takes the handle."""


@dataclass(slots=True, eq=False)
class _Call:
    """One batch on its way."""

    tensors: Tensors
    rows: int
    deadline: float | None
    queued_rows: int
    done: Done
    started: float
    tried: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    slot: str | None = None
    """The replica whose slot it takes. A call that timed out has given its slot back, though the replica may still be at it: a
    replica that hangs then meets the breaker, instead of holding everyone who waits."""
    finished: bool = False


class Replicas:
    """Carries calls to one model. Least rows in flight, same node first; a broken call is sent once more, elsewhere."""

    def __init__(
        self,
        model: str,
        policy: ModelPolicy,
        node: str,
        handle: HandlePath | None,
        observer: Observer,
        *,
        direct: bool,
    ) -> None:
        """`direct` False keeps to the handle."""
        self._model = model
        self._policy = policy
        self._node = node
        self._handle = handle
        self._observer = observer
        self._direct = direct
        self._loop = asyncio.get_running_loop()
        self._leases: dict[str, Replica] = {}
        self._links: dict[str, Link] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handle_calls = 0
        self._slots: Counter[str] = Counter()
        self._ids = 0
        self._closed = False
        self.breaker = Breaker(policy.breaker)
        self.signature: Signature | None = None
        self.kick = _nothing

    @property
    def known(self) -> Sequence[Replica]:
        """Replicas that hold a lease."""
        return tuple(self._leases.values())

    @property
    def rows_in_flight(self) -> int:
        """Rows on the direct path that have not been answered."""
        return sum([link.rows_in_flight for link in self._links.values()])

    def free_calls(self) -> int:
        """Calls that may go out now over all live links, or through the handle where there is none."""
        free = 0
        links = 0
        for link in self._links.values():
            if not link.going_away:
                links += 1
                free += max(0, self._policy.max_inflight - self._slots[link.replica.replica_id])
        if links:
            return free
        return HANDLE_CALLS - self._handle_calls

    def update(self, leases: Sequence[Replica]) -> None:
        """Take the directory's word: open links to new replicas, forget those that are gone."""
        fresh = {replica.replica_id: replica for replica in leases}
        for replica_id in self._leases.keys() - fresh.keys():
            self._forget(replica_id)
        self._leases = fresh
        if leases:
            self.signature = leases[0].signature
        if self._direct:
            for replica_id in fresh.keys() - self._links.keys() - self._opening.keys():
                self._open(replica_id)

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        """Start one call; see `Carrier`."""
        now = time.monotonic()
        if not self.breaker.allow(now):
            wait_s = self.breaker.retry_after_s(now) or 0.1
            done(Unreachable("away", f"the breaker of '{self._model}' is open", wait_s))
            return
        call = _Call(tensors, rows, deadline, queued_rows, done, now)
        bound = self._policy.timeout_s if deadline is None else min(self._policy.timeout_s, deadline - now)
        call.timer = self._loop.call_later(max(0.0, bound), self._timed_out, call)
        self._dispatch(call)

    async def close(self) -> None:
        """Close every link and end every task."""
        self._closed = True
        tasks = [*self._tasks, *self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()), return_exceptions=True)
        self._links.clear()

    # -- choosing and sending

    def _choose(self, tried: set[str]) -> Link | None:
        best: Link | None = None
        best_load = (True, True, 0)
        for replica_id, link in self._links.items():
            if link.going_away or replica_id in tried:
                continue
            full = self._slots[replica_id] >= self._policy.max_inflight
            load = (full, link.replica.node != self._node, link.rows_in_flight)
            if best is None or load < best_load:
                best, best_load = link, load
        return best

    def _dispatch(self, call: _Call) -> None:
        link = self._choose(call.tried)
        if link is None:
            self._take_slot(call, None)
            self._start(self._send_by_handle(call))
            return
        call.tried.add(link.replica.replica_id)
        self._take_slot(call, link.replica.replica_id)
        left = 0 if call.deadline is None else max(1, int((call.deadline - time.monotonic()) * 1000))
        future = link.call(call.tensors, call.rows, left, call.queued_rows)
        future.add_done_callback(lambda returned: self._returned(call, returned))

    def _returned(self, call: _Call, future: asyncio.Future[Scored]) -> None:
        if call.finished:  # timed out before: the late answer is dropped
            if not future.cancelled():
                future.exception()
            return
        if future.cancelled():
            self._finish(call, Unreachable("away", f"'{self._model}' was closed"))
            return
        error = future.exception()
        if error is None:
            self._finish(call, future.result())
        elif isinstance(error, LinkLost) and len(call.tried) < 2 and not self._closed:
            self._dispatch(call)
        elif isinstance(error, MeshError):
            self._finish(call, _outcome_of(error))
        else:
            self._finish(call, Unreachable("away", f"{type(error).__name__}: {error}"))

    async def _send_by_handle(self, call: _Call) -> None:
        self._handle_calls += 1
        try:
            link = await self._first_link(call)
            if call.finished:
                return
            if link:
                self._dispatch(call)
            elif self._handle is None:
                self._finish(call, Unreachable("away", f"no replica of '{self._model}' is known", 1.0))
            else:
                self._finish(call, await self._through_handle(self._handle, call))
        except MeshError as error:
            self._finish(call, _outcome_of(error))
        finally:
            self._handle_calls -= 1
            self.kick()

    async def _first_link(self, call: _Call) -> bool:
        """True once another link than those tried is open; waits only while one is being opened."""
        opening = [task for replica_id, task in self._opening.items() if replica_id not in call.tried]
        if opening:
            await asyncio.wait(opening, timeout=_FIRST_LINK_S, return_when=asyncio.FIRST_COMPLETED)
        return self._choose(call.tried) is not None

    async def _through_handle(self, handle: HandlePath, call: _Call) -> Outcome:
        self._ids += 1
        left = 0 if call.deadline is None else max(1, int((call.deadline - time.monotonic()) * 1000))
        frame = unpack(
            await handle(pack(Request(self._ids, call.tensors, call.rows, left, call.queued_rows)))
        )
        if isinstance(frame, Reply):
            return frame.scored
        if isinstance(frame, Failure):
            return _outcome_of(error_of(frame, self._model))
        return Unreachable("away", f"'{self._model}' answered with {type(frame).__name__}")

    # -- the end of a call

    def _timed_out(self, call: _Call) -> None:
        self._finish(call, Unreachable("deadline", f"'{self._model}' had not answered when time ran out"))

    def _finish(self, call: _Call, outcome: Outcome) -> None:
        if call.finished:
            return
        call.finished = True
        self._take_slot(call, None)
        if call.timer is not None:
            call.timer.cancel()
        now = time.monotonic()
        seconds = now - call.started
        kind = _kind_of(outcome, call.rows)
        if kind in ("answered", "overloaded"):  # shedding is an answer: the model is well, and says so
            self.breaker.succeeded(now, seconds)
        elif (
            kind != "deadline" or seconds >= self._policy.timeout_s
        ):  # an impatient caller says nothing of the model
            self.breaker.failed(now, seconds)
        self._observer.called(self._model, kind, call.rows, seconds)
        call.done(outcome)

    def _take_slot(self, call: _Call, replica_id: str | None) -> None:
        """Move the call's slot, or give it back."""
        if call.slot is not None:
            self._slots[call.slot] -= 1
            if not self._slots[call.slot]:
                del self._slots[call.slot]
        call.slot = replica_id
        if replica_id is not None:
            self._slots[replica_id] += 1

    # -- links

    def _open(self, replica_id: str) -> None:
        task = self._loop.create_task(self._keep_open(replica_id))
        self._opening[replica_id] = task
        task.add_done_callback(lambda _: self._opening.pop(replica_id, None))

    async def _keep_open(self, replica_id: str) -> None:
        """Try until the link is open or the lease is gone."""
        attempt = 0
        while not self._closed and (replica := self._leases.get(replica_id)):
            try:
                link = await Link.open(replica, self._node, on_lost=lambda: self._lost(replica_id))
            except MeshError:  # the lease ends it if the replica is really gone
                await asyncio.sleep(_RECONNECT_S[min(attempt, len(_RECONNECT_S) - 1)])
                attempt += 1
                continue
            self._links[replica_id] = link
            self._loop.call_soon(self.kick)
            return

    def _lost(self, replica_id: str) -> None:
        self._links.pop(replica_id, None)
        if not self._closed and replica_id in self._leases and replica_id not in self._opening:
            self._open(replica_id)

    def _forget(self, replica_id: str) -> None:
        """A lease that is gone: a link with calls in flight may finish them, then it is closed."""
        if task := self._opening.pop(replica_id, None):
            task.cancel()
        if link := self._links.pop(replica_id, None):
            self._start(self._retire(link))

    async def _retire(self, link: Link) -> None:
        give_up = time.monotonic() + self._policy.timeout_s
        while link.calls_in_flight and time.monotonic() < give_up:  # noqa: ASYNC110 - rare, and the link has no event
            await asyncio.sleep(0.05)
        await link.close()

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nothing() -> None:
    """What `kick` does before a batcher has set it."""


def _outcome_of(error: MeshError) -> Outcome:
    """An error from a model call, as a result where it is not the rows' own fault."""
    if isinstance(error, InvalidInput):
        return error
    if isinstance(error, Overloaded):
        return Unreachable("overloaded", error.reason, error.retry_after_s)
    if isinstance(error, Unavailable):
        return Unreachable("away", error.reason, error.retry_after_s)
    if isinstance(error, DeadlineExceeded):
        return Unreachable("deadline", str(error))
    kind: FailureKind = "away" if isinstance(error, LinkLost) else "raised"
    return Unreachable(kind, str(error))


def _kind_of(outcome: Outcome, rows: int) -> CallOutcome:
    if isinstance(outcome, Unreachable):
        return outcome.kind
    if isinstance(outcome, MeshError):
        return "answered"  # the caller's rows were refused by a model that is well
    return "raised" if outcome.failed and len(outcome.failed) == rows else "answered"
