"""The engine: rows in, answers out, over whatever replicas there are. One per process that answers; one event loop."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from mesh.engine.batcher import Batcher
from mesh.engine.cohort import Cohorts
from mesh.engine.merge import take_rows
from mesh.engine.ports import EngineConfig, HandlePath, Observer, Queue, Silent
from mesh.engine.replica import Replica
from mesh.engine.replicas import Replicas
from mesh.engine.shadows import ShadowLane
from mesh.engine.traced import note_call, note_shadow
from mesh.errors import DeadlineExceeded, NotFound, Overloaded
from mesh.routing.breaker import BreakerState
from mesh.routing.cascade import CascadeResult, ModelCall, cascade
from mesh.routing.deadline import after, feasible, left_ms
from mesh.routing.table import RouteTable
from mesh.routing.types import Answer, Batch, CallResult, Origin, RowFailure, Signature, Unreachable, Variant
from mesh.tracing.journey import CohortTrace, current

_NO_FAILURES: Mapping[int, RowFailure] = {}


class Engine:
    """Answers endpoints. Create it on the event loop that it is to live on."""

    def __init__(
        self,
        config: EngineConfig,
        *,
        node: str,
        handles: Mapping[str, HandlePath],
        observer: Observer | None = None,
        direct: bool = True,
    ) -> None:
        """`handles` gives each model's handle path; `direct` False uses nothing else (`MESH_DATA_PATH=handle`)."""
        self._config = config
        self._observer: Observer = observer or Silent()
        self._tasks: set[asyncio.Task[None]] = set()
        self._replicas: dict[str, Replicas] = {}
        self._batchers: dict[str, Batcher] = {}
        self._lanes: dict[str, ShadowLane] = {}
        for model, policy in config.models.items():
            carrier = Replicas(model, policy, node, handles.get(model), self._observer, direct=direct)
            batcher = Batcher(model, carrier, policy.max_batch_rows, config.max_pending_rows)
            carrier.kick = batcher.kick
            self._replicas[model] = carrier
            self._batchers[model] = batcher
        self._cohorts = {
            name: Cohorts(self._answering(table), self._tasks) for name, table in config.tables.items()
        }
        self.endpoints: Sequence[str] = tuple(dict.fromkeys((*config.tables, *config.models)))
        """Every name that `infer` takes: tables first, then models."""
        self._pending = dict.fromkeys(self.endpoints, 0)
        self._closed = False

    # -- what there is

    @property
    def rows_waiting(self) -> int:
        """Rows taken and not yet answered, over all endpoints."""
        return sum(self._pending.values())

    @property
    def pending_rows(self) -> Mapping[str, int]:
        """Rows taken and not yet answered, by endpoint."""
        return self._pending

    def breaker_states(self) -> dict[str, BreakerState]:
        """Each model's breaker, as this engine sees it."""
        return {model: carrier.breaker.state for model, carrier in self._replicas.items()}

    def queues(self) -> dict[str, Queue]:
        """What waits for each model, and its calls that are out."""
        return {
            model: Queue(
                batcher.pending_rows,
                batcher.queued_s,
                batcher.queued_callers,
                *self._replicas[model].slots,
            )
            for model, batcher in self._batchers.items()
        }

    @property
    def rules_hash(self) -> str:
        """The content hash of all tables."""
        return self._config.rules_hash

    def signature(self, endpoint: str) -> Signature | None:
        """What the endpoint takes and gives; None until a replica has said so."""
        model = self._first_model(endpoint)
        facts = self._config.facts.get(model)
        return self._replicas[model].signature or (facts.signature if facts else None)

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The attributes (dotted names) that the endpoint's rules read, its sticky key among them."""
        table = self._config.tables.get(endpoint)
        if table is not None:
            return table.attributes_read
        self._first_model(endpoint)
        return frozenset()

    def models_of(self, endpoint: str) -> frozenset[str]:
        """The models that may answer the endpoint or shadow it."""
        table = self._config.tables.get(endpoint)
        return table.models if table is not None else frozenset({self._first_model(endpoint)})

    def replicas_of(self, model: str) -> Sequence[Replica]:
        """The replicas that hold a lease."""
        return self._replicas[model].known

    def ready(self, endpoint: str) -> bool:
        """Every model of the endpoint has a replica, or may sleep without one until a call wakes it."""
        return all(
            self._replicas[model].known or self._config.models[model].may_sleep
            for model in self.models_of(endpoint)
        )

    def update_replicas(self, replicas: Sequence[Replica]) -> None:
        """Take over what the directory knows."""
        for model, carrier in self._replicas.items():
            carrier.update([replica for replica in replicas if replica.model == model])
            self._batchers[model].kick()

    # -- answering

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N >= 1 rows, by `deadline` (`time.monotonic` seconds) where one is given.

        Raises `NotFound`, `Overloaded` (too much waits), `DeadlineExceeded` (it was over before it began), `InvalidInput` (a
        model refused the tensors). Rows that no model could answer are in `Answer.failed`. Cancelling the caller leaves
        other callers' rows undisturbed.
        """
        if endpoint not in self._pending:
            raise NotFound(f"no endpoint '{endpoint}'; there are: {', '.join(self.endpoints)}")
        if deadline is not None and deadline <= time.monotonic():
            raise DeadlineExceeded(f"the time for '{endpoint}' had run out before it was asked")
        rows = len(batch)
        self._admit(endpoint, rows)
        try:
            cohorts = self._cohorts.get(endpoint)
            if cohorts is not None:
                return await cohorts.submit(batch, deadline, variant)
            return await self._infer_model(endpoint, batch, deadline)
        finally:
            self._pending[endpoint] -= rows

    async def close(self) -> None:
        """End what is in flight and close every connection. The engine answers nothing after."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(carrier.close() for carrier in self._replicas.values()))

    def _admit(self, endpoint: str, rows: int) -> None:
        pending = self._pending[endpoint]
        if pending and pending + rows > self._config.max_pending_rows:
            raise Overloaded(
                endpoint, f"{pending} rows wait, the limit is {self._config.max_pending_rows}", 1.0
            )
        self._pending[endpoint] = pending + rows

    async def _infer_model(self, model: str, batch: Batch, deadline: float | None) -> Answer:
        """A hosted model's own endpoint: no rules, one call."""
        began = time.monotonic()
        future = self._batchers[model].submit(batch.tensors, len(batch), deadline)
        journey = current()
        if journey is not None:
            cohort = CohortTrace()
            journey.share(cohort, 0, len(batch))
            note_call(cohort.calls, ModelCall(model, np.arange(len(batch))), future)
        result = await future
        answer = _answer_of(model, len(batch), result, self._config.rules_hash)
        if journey is not None:
            cohort.answered(answer)
        self._observer.answered(model, answer, time.monotonic() - began)
        return answer

    def _answering(self, table: RouteTable) -> "_TableAnswering":
        return _TableAnswering(self, table)

    async def answer_table(
        self,
        table: RouteTable,
        batch: Batch,
        deadline: float | None,
        variant: Variant | None,
        traced: CohortTrace | None = None,
    ) -> Answer:
        """Drive the table's cascade: make the calls it asks for, then offer its shadows. Calls are told to `traced`."""
        began = time.monotonic()
        if deadline is None:
            deadline = after(began, table.deadline_ms)
        steps = cascade(table, self._config.facts, batch, variant)
        results: Sequence[CallResult] | None = None
        while True:
            try:
                step = next(steps) if results is None else steps.send(results)
            except StopIteration as done:
                outcome: CascadeResult = done.value
                break
            futures = [self._call(call, batch, deadline) for call in step.calls]
            if traced is not None:
                for call, future in zip(step.calls, futures, strict=True):
                    note_call(traced.calls, call, future)
            results = await asyncio.gather(*futures) if len(futures) > 1 else [await futures[0]]
        for shadow in outcome.shadows:
            if traced is not None:
                note_shadow(traced.calls, shadow)
            self._lane(shadow.model).offer(shadow, take_rows(batch.tensors, shadow.rows, len(batch)))
        for model, rows in outcome.shadows_skipped.items():
            self._observer.shadowed(model, "skipped", rows, None)
        if traced is not None:
            traced.answered(outcome.answer)
        self._observer.answered(table.endpoint, outcome.answer, time.monotonic() - began)
        return outcome.answer

    def _call(self, call: ModelCall, batch: Batch, deadline: float | None) -> asyncio.Future[CallResult]:
        now = time.monotonic()
        facts = self._config.facts.get(call.model)
        expected_ms = facts.expected_ms if facts else None
        if not feasible(deadline, now, expected_ms):
            future: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
            reason = (
                f"'{call.model}' takes {expected_ms or 0:g} ms, {left_ms(deadline, now) or 0:.0f} ms are left"
            )
            future.set_result(Unreachable("deadline", reason))
            return future
        tensors = take_rows(batch.tensors, call.rows, len(batch))
        return self._batchers[call.model].submit(tensors, len(call.rows), deadline)

    def _lane(self, model: str) -> ShadowLane:
        lane = self._lanes.get(model)
        if lane is None:
            policy = self._config.models[model]
            facts = self._config.facts.get(model)
            lane = ShadowLane(
                model,
                self._replicas[model],
                self._observer,
                max_rows=self._config.shadow_queue_rows,
                max_batch_rows=policy.max_batch_rows,
                label=facts.label if facts else None,
            )
            self._lanes[model] = lane
        return lane

    def _first_model(self, endpoint: str) -> str:
        if endpoint in self._replicas and endpoint not in self._config.tables:
            return endpoint
        table = self._config.tables.get(endpoint)
        if table is None:
            raise NotFound(f"no endpoint '{endpoint}'; there are: {', '.join(self.endpoints)}")
        return table.first_model


class _TableAnswering:
    """One table's cascade, as the callable that a cohort needs."""

    __slots__ = ("_engine", "_table")

    def __init__(self, engine: Engine, table: RouteTable) -> None:
        self._engine = engine
        self._table = table

    async def __call__(
        self,
        batch: Batch,
        deadline: float | None,
        variant: Variant | None,
        traced: CohortTrace | None,
    ) -> Answer:
        return await self._engine.answer_table(self._table, batch, deadline, variant, traced)


@lru_cache(maxsize=256)
def _origins(model: str, version: str) -> tuple[Origin, ...]:
    return (Origin(model, version, model, "primary"),)


@lru_cache(maxsize=64)
def _whole(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """`origin_of` and `degraded` of an answer that one model gave whole; shared, so read-only."""
    origin_of, degraded = np.zeros(rows, np.intp), np.zeros(rows, np.bool_)
    origin_of.flags.writeable = degraded.flags.writeable = False
    return origin_of, degraded


def _answer_of(model: str, rows: int, result: CallResult, rules: str) -> Answer:
    origin_of, degraded = _whole(rows)
    if isinstance(result, Unreachable):
        failure = RowFailure(model, result.kind, result.reason, result.retry_after_s)
        return Answer(
            {}, None, (), np.full(rows, -1, np.intp), degraded, dict.fromkeys(range(rows), failure), rules
        )
    failed = _NO_FAILURES
    if result.failed:
        failed = {row: RowFailure(model, "raised", reason) for row, reason in result.failed.items()}
        origin_of = origin_of.copy()
        origin_of[list(failed)] = -1
    return Answer(
        result.outputs, result.confidence, _origins(model, result.version), origin_of, degraded, failed, rules
    )
