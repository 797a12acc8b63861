"""One accepted set of tables at work: each answer is given whole by one edition, and names the table that decided."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from mesh.engine.carriers import Carrier
from mesh.engine.cohort import Cohorts
from mesh.engine.compared import Offer, keys_of
from mesh.engine.merge import take_rows
from mesh.engine.ports import EngineConfig, Observer
from mesh.engine.traced import Endings, OfferedRows, ReturnedCalls, with_calls
from mesh.errors import NotFound
from mesh.routing.calls import CohortCalls
from mesh.routing.cascade import CascadeResult, ModelCall, cascade
from mesh.routing.deadline import after, feasible, left_ms
from mesh.routing.table import RouteTable
from mesh.routing.types import Answer, Batch, CallResult, Origin, RowFailure, Unreachable, Variant

_NO_FAILURES: Mapping[int, RowFailure] = {}


class Edition:
    """Answers by `config` alone, whatever is accepted after it. Create it on the event loop that it is to live on."""

    def __init__(
        self,
        config: EngineConfig,
        carriers: Mapping[str, Carrier],
        observer: Observer,
        tasks: set[asyncio.Task[None]],
        *,
        noting: bool = False,
    ) -> None:
        """`carriers` holds one for each model of `config`; the tasks of cohorts are kept in `tasks`.

        With `noting` answers carry the calls that they rest on.
        """
        self.config = config
        self.carriers = carriers
        self.endpoints: Sequence[str] = tuple(dict.fromkeys((*config.tables, *config.models)))
        self.under_way = 0
        """Calls of `infer` that have not returned."""
        self._observer, self._noting = observer, noting
        self._cohorts = {
            name: Cohorts(_TableAnswering(self, table), tasks) for name, table in config.tables.items()
        }

    def serves(self, endpoint: str) -> bool:
        """True for a table or a hosted model of this edition."""
        return endpoint in self._cohorts or endpoint in self.carriers

    def first_model(self, endpoint: str) -> str:
        """The model whose inputs and outputs are the endpoint's; raises `NotFound`."""
        table = self.config.tables.get(endpoint)
        if table is not None:
            return table.first_model
        if endpoint in self.carriers:
            return endpoint
        raise NotFound(f"no endpoint '{endpoint}'; there are: {', '.join(self.endpoints)}")

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The attributes that the endpoint's rules read, its sticky key among them; raises `NotFound`."""
        table = self.config.tables.get(endpoint)
        if table is not None:
            return table.attributes_read
        self.first_model(endpoint)
        return frozenset()

    def covers(self, endpoint: str, batch: Batch) -> bool:
        """True where the batch has every column that the endpoint's rules read."""
        table = self.config.tables.get(endpoint)
        return table is None or table.attributes_read <= batch.attributes.keys()

    async def infer(
        self, endpoint: str, batch: Batch, deadline: float | None, variant: Variant | None
    ) -> Answer:
        """See `Engine.infer`; the endpoint is one of this edition's."""
        self.under_way += 1
        try:
            cohorts = self._cohorts.get(endpoint)
            if cohorts is not None:
                return await cohorts.submit(batch, deadline, variant)
            return await self._infer_model(endpoint, batch, deadline)
        finally:
            self.under_way -= 1

    async def _infer_model(self, model: str, batch: Batch, deadline: float | None) -> Answer:
        """A hosted model's own endpoint: no rules, one call."""
        began = time.monotonic()
        future = self.carriers[model].batcher.submit(batch.tensors, len(batch), deadline)
        noted = CohortCalls() if self._noting else None
        began_ns = 0 if noted is None else time.time_ns()
        result = await future
        if noted is not None:
            noted.rounds.append(ReturnedCalls([ModelCall(model, np.arange(len(batch)))], [result], began_ns))
        answer = with_calls(_answer_of(model, len(batch), result, self.config.rules_hash), noted)
        self._observer.answered(model, answer, time.monotonic() - began)
        return answer

    async def answer_table(
        self,
        table: RouteTable,
        batch: Batch,
        deadline: float | None,
        variant: Variant | None,
    ) -> Answer:
        """Drive the table's cascade: make the calls it asks for, then offer its shadows."""
        began = time.monotonic()
        noted = CohortCalls() if self._noting else None
        if deadline is None:
            deadline = after(began, table.deadline_ms)
        seconds: dict[str, float] | None = {} if table.has_shadows else None
        steps = cascade(table, self.config.facts, batch, variant)
        results: Sequence[CallResult] | None = None
        while True:
            try:
                step = next(steps) if results is None else steps.send(results)
            except StopIteration as done:
                outcome: CascadeResult = done.value
                break
            futures = [self._call(call, batch, deadline, seconds) for call in step.calls]
            began_ns = 0 if noted is None else time.time_ns()
            ended = None if noted is None or len(futures) == 1 else Endings(futures)
            results = await asyncio.gather(*futures) if len(futures) > 1 else [await futures[0]]
            if noted is not None:
                noted.rounds.append(ReturnedCalls(step.calls, results, began_ns, ended))
        if seconds is not None:
            self._offer_shadows(table, batch, outcome, seconds)
        if noted is not None and outcome.shadows:
            noted.rounds.append(OfferedRows(outcome.shadows))
        answer = with_calls(outcome.answer, noted)
        self._observer.answered(table.endpoint, answer, time.monotonic() - began)
        return answer

    def _offer_shadows(
        self, table: RouteTable, batch: Batch, outcome: CascadeResult, seconds: Mapping[str, float]
    ) -> None:
        for call in outcome.shadows:
            offer = Offer(
                table.endpoint,
                call,
                [batch.ids[row] for row in call.rows.tolist()],
                keys_of(table, batch, call.rows),
                seconds.get(call.primary_origin.model),
                seconds.get(call.model),
                self.config.facts.get(call.primary_origin.model),
                self.config.facts.get(call.model),
            )
            self.carriers[call.model].lane.offer(offer, take_rows(batch.tensors, call.rows, len(batch)))
        for model, rows in outcome.shadows_skipped.items():
            self._observer.shadowed(model, "skipped", rows, None)

    def _call(
        self, call: ModelCall, batch: Batch, deadline: float | None, seconds: dict[str, float] | None
    ) -> asyncio.Future[CallResult]:
        now = time.monotonic()
        facts = self.config.facts.get(call.model)
        expected_ms = facts.expected_ms if facts else None
        if not feasible(deadline, now, expected_ms):
            future: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
            reason = (
                f"'{call.model}' takes {expected_ms or 0:g} ms, {left_ms(deadline, now) or 0:.0f} ms are left"
            )
            future.set_result(Unreachable("deadline", reason))
            return future
        tensors = take_rows(batch.tensors, call.rows, len(batch))
        answered = self.carriers[call.model].batcher.submit(tensors, len(call.rows), deadline)
        if seconds is not None:
            answered.add_done_callback(lambda _: _note(seconds, call.model, time.monotonic() - now))
        return answered


def _note(seconds: dict[str, float], model: str, taken: float) -> None:
    """A model that is asked twice in a cascade, for different rows, counts with its slower call."""
    seconds[model] = max(taken, seconds.get(model, 0.0))


class _TableAnswering:
    """One table's cascade, as the callable that a cohort needs."""

    __slots__ = ("_edition", "_table")

    def __init__(self, edition: Edition, table: RouteTable) -> None:
        self._edition = edition
        self._table = table

    async def __call__(self, batch: Batch, deadline: float | None, variant: Variant | None) -> Answer:
        return await self._edition.answer_table(self._table, batch, deadline, variant)


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
