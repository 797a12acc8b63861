"""The replicas of one model: which one takes a call, what happens when it dies, and the handle path for when there is none."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from mesh.engine.batcher import Done, Outcome
from mesh.engine.call import Call
from mesh.engine.direct.link import Link, LinkFull, LinkLost
from mesh.engine.links import Links
from mesh.engine.outcomes import kind_of, outcome_of
from mesh.engine.ports import CallOutcome, HandlePath, ModelPolicy, Observer
from mesh.engine.replica import Replica
from mesh.engine.silence import Silence
from mesh.errors import InvalidInput, MeshError
from mesh.routing.breaker import Breaker
from mesh.routing.types import Scored, Signature, Tensors, Unreachable
from mesh.wire import Failure, Reply, Request, pack, unpack
from mesh.wire.errors import WireError, error_of

UNKNOWN_VERSION: Final = "unknown"
HANDLE_CALLS = 4
"""Calls out at once through the handle, which has no flow control of its own."""


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
        self._handle = handle
        self._observer = observer
        self._direct = direct
        self._loop = asyncio.get_running_loop()
        self._links = Links(node, policy.max_inflight, policy.timeout_s, self._link_opened)
        self._tasks: set[asyncio.Task[None]] = set()
        self._handle_calls = 0
        self._left: deque[asyncio.Task[None]] = deque()
        """Handle calls that timed out and go on without their callers, the oldest first."""
        self._parked: list[Call] = []
        """Calls that wait for a slot: each found its link full, once a link was lost to it or had opened."""
        self._silence = Silence()
        self._drags_s = min(policy.timeout_s, policy.breaker.slow_s)
        self._ids = 0
        self._closed = False
        self.known: Sequence[Replica] = ()
        """Replicas that hold a lease."""
        self.breaker = Breaker(policy.breaker)
        self.signature: Signature | None = None
        self.kick: Callable[[], None] = _nothing
        """Called when calls may have become free."""

    def free_calls(self) -> int:
        """Calls that may go out now over all live links, or through the handle where there is none."""
        free = self._links.free_slots()
        return HANDLE_CALLS - self._handle_calls if free is None else free

    @property
    def slots(self) -> tuple[int, int]:
        """Calls that are out over direct links, and how many there may be."""
        return self._links.taken_slots, len(self.known) * self._policy.max_inflight

    def update(self, leases: Sequence[Replica]) -> None:
        """Take the directory's word: open links to new replicas, forget those that are gone."""
        self.known = leases
        if leases:
            self.signature = leases[0].signature
        if self._direct:
            self._links.follow(leases)

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        """Start one call; see `Carrier`."""
        now = time.monotonic()
        if not self.breaker.allow(now):
            wait_s = self.breaker.retry_after_s(now) or 0.1
            done(Unreachable("away", f"the breaker of '{self._model}' is open", wait_s))
            return
        bound = self._policy.timeout_s if deadline is None else min(self._policy.timeout_s, deadline - now)
        call = Call(tensors, rows, queued_rows, done, now, now + bound)
        call.timer = self._loop.call_later(max(0.0, bound), self._timed_out, call)
        self._dispatch(call)

    async def close(self) -> None:
        """Close every link and end every task."""
        self._closed = True
        parked, self._parked = self._parked, []
        for call in parked:
            self._finish(call, Unreachable("away", f"the engine of '{self._model}' closes"))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._links.close()

    def _link_opened(self) -> None:
        self._silence.heard()  # a replica that nobody has asked yet owes no answer
        self._unpark()
        self.kick()

    # -- choosing and sending

    def _dispatch(self, call: Call) -> None:
        link = self._links.choose(call.tried)
        if link is None:
            self._take_slot(call, None)
            call.by_handle = True
            self._handle_calls += 1  # now, as who sends asks for free calls before the task has begun
            call.task = self._start(self._send_by_handle(call))
        else:
            self._send_by_link(call, link)

    def _redirect(self, call: Call) -> None:
        """As `_dispatch`, for a call that was sent without asking for a free slot: where there is none, it waits."""
        link = self._links.choose(call.tried)
        if link is not None and self._links.full(link):
            self._take_slot(call, None)
            self._parked.append(call)
        else:
            self._dispatch(call)

    def _unpark(self) -> None:
        """A slot may be free, or the link gone: those that waited come before what the batcher holds."""
        parked, self._parked = self._parked, []
        for call in parked:
            if not call.finished:
                self._redirect(call)

    def _send_by_link(self, call: Call, link: Link) -> None:
        call.tried.add(link.replica.replica_id)
        self._take_slot(call, link.replica.replica_id)
        future = link.call(call.tensors, call.rows, call.left_ms, call.queued_rows)
        future.add_done_callback(lambda returned: self._returned(call, returned))

    def _returned(self, call: Call, future: asyncio.Future[Scored]) -> None:
        if not future.cancelled() and not isinstance(future.exception(), LinkLost | LinkFull):
            self._silence.heard()
        if call.finished:  # timed out before: the late answer is dropped
            return
        if future.cancelled():
            self._finish(call, Unreachable("away", f"'{self._model}' was closed"))
            return
        error = future.exception()
        if error is None:
            self._finish(call, future.result())
        elif isinstance(error, LinkLost) and len(call.tried) < 2 and not self._closed:
            self._redirect(call)
        elif isinstance(error, LinkFull):
            self._finish(call, outcome_of(error), reached=False)
        elif isinstance(error, MeshError):
            self._finish(call, outcome_of(error))
        else:
            self._finish(call, Unreachable("away", f"{type(error).__name__}: {error}"))

    async def _send_by_handle(self, call: Call) -> None:
        try:
            link = await self._links.choose_soon(call.tried)
            if call.finished:
                return
            if link:
                self._redirect(call)
            elif self._handle is None:
                self._finish(call, Unreachable("away", f"no replica of '{self._model}' is known", 1.0))
            else:
                self._finish(call, await self._through_handle(self._handle, call))
        except MeshError as error:
            self._finish(call, outcome_of(error))
        except Exception as error:  # noqa: BLE001 - as of a link's call: whoever waits must hear of it, whatever it is
            self._finish(call, Unreachable("away", f"{type(error).__name__}: {error}"))
        except asyncio.CancelledError:
            self._finish(call, Unreachable("away", f"'{self._model}' was closed"))
            raise
        finally:
            self._leave_handle(call)
            self.kick()

    async def _through_handle(self, handle: HandlePath, call: Call) -> Outcome:
        self._ids += 1
        try:
            packed = pack(Request(self._ids, call.tensors, call.rows, call.left_ms, call.queued_rows))
        except WireError as error:
            return InvalidInput("request", str(error))
        frame = unpack(await handle(packed))
        if isinstance(frame, Reply):
            return frame.scored
        if isinstance(frame, Failure):
            return outcome_of(error_of(frame, self._model))
        return Unreachable("away", f"'{self._model}' answered with {type(frame).__name__}")

    # -- the end of a call

    def _timed_out(self, call: Call) -> None:
        silent = self._silence.missed(call.started, time.monotonic()) if call.slot is not None else 0.0
        late = Unreachable("deadline", f"'{self._model}' had not answered when time ran out")
        self._finish(call, late, silent_s=silent)
        if call.task is not None and not call.task.done():
            self._leave(call.task)

    def _leave(self, task: asyncio.Task[None]) -> None:
        """A few go on without their callers: what waits at Serve is what wakes a model that sleeps at zero replicas."""
        self._left.append(task)
        if len(self._left) > HANDLE_CALLS:
            self._left.popleft().cancel()

    def _finish(self, call: Call, outcome: Outcome, *, reached: bool = True, silent_s: float = 0.0) -> None:
        if call.finished:
            return
        call.finished = True
        self._take_slot(call, None)
        if call.timer is not None:
            call.timer.cancel()
        now = time.monotonic()
        seconds = now - call.started
        kind = kind_of(outcome, call.rows)
        if reached:
            self._report(kind, now, max(seconds, silent_s))
        self._observer.called(self._model, self._version_of(outcome), kind, call.rows, seconds)
        if self._parked:
            self._unpark()
        call.done(outcome)

    def _report(self, kind: CallOutcome, now: float, seconds: float) -> None:
        """Tell the breaker. An impatient caller says nothing of the model, unless that was slow or silent by then."""
        if kind in ("answered", "overloaded"):  # shedding is an answer: the model is well, and says so
            self.breaker.succeeded(now, seconds)
        elif kind != "deadline" or seconds >= self._drags_s:
            self.breaker.failed(now, seconds)

    def _version_of(self, outcome: Outcome) -> str:
        if isinstance(outcome, Scored):
            return outcome.version
        return self.known[0].version if self.known else UNKNOWN_VERSION

    def _take_slot(self, call: Call, replica_id: str | None) -> None:
        """Move the call's slot, or give it back, and its place at the handle."""
        self._leave_handle(call)
        if call.slot is not None:
            self._links.slots[call.slot] -= 1
            if not self._links.slots[call.slot]:
                del self._links.slots[call.slot]
        call.slot = replica_id
        if replica_id is not None:
            self._links.slots[replica_id] += 1

    def _leave_handle(self, call: Call) -> None:
        if call.by_handle:
            call.by_handle = False
            self._handle_calls -= 1

    def _start(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _nothing() -> None:
    """What `kick` does before a batcher has set it."""
