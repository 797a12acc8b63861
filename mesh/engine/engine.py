"""The engine: rows in, answers out, over whatever replicas there are. One per process that answers; one event loop."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from mesh.engine.carriers import Carriers, close_all
from mesh.engine.edition import Edition
from mesh.engine.ports import EngineConfig, HandlePath, Observer, Queue, Silent
from mesh.engine.replica import Replica
from mesh.errors import DeadlineExceeded, NotFound, Overloaded
from mesh.routing.breaker import BreakerState
from mesh.routing.facts import ModelFacts
from mesh.routing.types import Answer, Batch, Signature, Variant

_KEPT: Final = 8
"""Editions before the present one that are kept for batches which were read for them."""
_RETIRE_S: Final = 60.0
"""How long carriers that no present table uses are kept for the answers that are still being given by them."""


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
        noting: bool = False,
    ) -> None:
        """`handles` gives each model's handle path; `direct` False uses nothing else (`MESH_DATA_PATH=handle`).

        With `noting` answers carry the calls that they rest on, for whoever traces.
        """
        self._noting = noting
        self._observer: Observer = observer or Silent()
        self._tasks: set[asyncio.Task[None]] = set()
        self._carriers = Carriers(node, self._observer, direct=direct)
        self._edition = self._edited(config, handles)
        self._earlier: tuple[Edition, ...] = ()
        self._pending = dict.fromkeys(self._edition.endpoints, 0)
        self._closed = False

    # -- what there is

    @property
    def endpoints(self) -> Sequence[str]:
        """Every name that `infer` takes: tables first, then models."""
        return self._edition.endpoints

    @property
    def rows_waiting(self) -> int:
        """Rows taken and not yet answered, over all endpoints."""
        return sum(self._pending.values())

    @property
    def pending_rows(self) -> Mapping[str, int]:
        """Rows taken and not yet answered, by endpoint."""
        return self._pending

    def breaker_states(self) -> dict[str, BreakerState]:
        """Each model's breaker, as this engine sees it now."""
        now, carriers = time.monotonic(), self._edition.carriers
        return {model: carrier.replicas.breaker.state_at(now) for model, carrier in carriers.items()}

    def queues(self) -> dict[str, Queue]:
        """What waits for each model, and its calls that are out."""
        return {
            model: Queue(
                carrier.batcher.pending_rows,
                carrier.batcher.queued_s,
                carrier.batcher.queued_callers,
                *carrier.replicas.slots,
            )
            for model, carrier in self._edition.carriers.items()
        }

    @property
    def rules_hash(self) -> str:
        """The content hash of all tables."""
        return self._edition.config.rules_hash

    def signature(self, endpoint: str) -> Signature | None:
        """What the endpoint takes and gives; None until a replica has said so."""
        model = self._edition.first_model(endpoint)
        facts = self._edition.config.facts.get(model)
        return self._edition.carriers[model].replicas.signature or (facts.signature if facts else None)

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The attributes (dotted names) that the endpoint's rules read, its sticky key among them.

        A batch holds a column for each, of `MISSING` where rows have no value: by that the engine knows which tables it
        was read for.
        """
        return self._edition.attributes_read(endpoint)

    def facts(self, model: str) -> ModelFacts | None:
        """What rules know of a model; None for one that is none of the present tables'."""
        return self._edition.config.facts.get(model)

    def sticky_key(self, endpoint: str) -> str | None:
        """The attribute that is the endpoint's sticky key; None where it has none."""
        table = self._edition.config.tables.get(endpoint)
        return None if table is None else table.key

    def models_of(self, endpoint: str) -> frozenset[str]:
        """The models that may answer the endpoint or shadow it."""
        table = self._edition.config.tables.get(endpoint)
        return table.models if table is not None else frozenset({self._edition.first_model(endpoint)})

    def replicas_of(self, model: str) -> Sequence[Replica]:
        """The replicas that hold a lease."""
        return self._edition.carriers[model].replicas.known

    def ready(self, endpoint: str) -> bool:
        """Every model of the endpoint has a replica, or may sleep without one until a call wakes it."""
        carriers = self._edition.carriers
        return all(
            carriers[model].replicas.known or carriers[model].policy.may_sleep
            for model in self.models_of(endpoint)
        )

    def update_replicas(self, replicas: Sequence[Replica]) -> None:
        """Take over what the directory knows."""
        self._carriers.update(replicas)

    # -- changing what it answers by

    def adopt(self, config: EngineConfig, handles: Mapping[str, HandlePath]) -> None:
        """From this moment new rows are answered by `config`; those under way finish by what they began with.

        `handles` needs the models that are new. Models that `config` no longer has keep their connections until the
        answers under way are given, for a minute at most.
        """
        before, self._edition = self._edition, self._edited(config, handles)
        held = set(self._edition.carriers.values())
        earlier = (before, *self._earlier)
        self._earlier = tuple(each for each in earlier if held.issuperset(each.carriers.values()))[:_KEPT]
        self._pending = {
            name: rows
            for name, rows in {**dict.fromkeys(self._edition.endpoints, 0), **self._pending}.items()
            if rows or name in self._edition.endpoints
        }
        if not held.issuperset(before.carriers.values()):
            task = asyncio.get_running_loop().create_task(self._retire(earlier))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _retire(self, editions: Sequence[Edition]) -> None:
        """Close what only these editions use, once they have nothing under way."""
        give_up = time.monotonic() + _RETIRE_S
        try:
            while any(each.under_way for each in editions) and time.monotonic() < give_up:  # noqa: ASYNC110 - rare
                await asyncio.sleep(0.05)
        finally:
            held = set(self._edition.carriers.values())
            used = {one for each in editions for one in each.carriers.values()}
            await close_all(list(used - held))

    def _edited(self, config: EngineConfig, handles: Mapping[str, HandlePath]) -> Edition:
        carriers = self._carriers.hold(config, handles)
        return Edition(config, carriers, self._observer, self._tasks, noting=self._noting)

    # -- answering

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N >= 1 rows, by `deadline` (`time.monotonic` seconds) where one is given.

        All rows are answered under one table, which `Answer.rules` names: the present one, or where the batch was read
        before that was taken and lacks a column that it reads, the newest that the batch was read for.

        Raises `NotFound`, `Overloaded` (too much waits), `DeadlineExceeded` (it was over before it began), `InvalidInput` (a
        model refused the tensors). Rows that no model could answer are in `Answer.failed`. Cancelling the caller leaves
        other callers' rows undisturbed.
        """
        edition = self._edition
        if not edition.serves(endpoint):
            raise NotFound(f"no endpoint '{endpoint}'; there are: {', '.join(edition.endpoints)}")
        if deadline is not None and deadline <= time.monotonic():
            raise DeadlineExceeded(f"the time for '{endpoint}' had run out before it was asked")
        if self._earlier and not edition.covers(endpoint, batch):
            edition = self._read_for(endpoint, batch)
        rows = len(batch)
        self._admit(endpoint, rows, edition.config.max_pending_rows)
        try:
            return await edition.infer(endpoint, batch, deadline, variant)
        finally:
            self._pending[endpoint] -= rows

    async def close(self) -> None:
        """End what is in flight and close every connection. The engine answers nothing after."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        editions = (self._edition, *self._earlier)
        await close_all(list({one for each in editions for one in each.carriers.values()}))

    def _read_for(self, endpoint: str, batch: Batch) -> Edition:
        """The newest edition whose columns the batch has; the present one where there is none."""
        for each in self._earlier:
            if each.serves(endpoint) and each.covers(endpoint, batch):
                return each
        return self._edition

    def _admit(self, endpoint: str, rows: int, limit: int) -> None:
        pending = self._pending[endpoint]
        if pending and pending + rows > limit:
            raise Overloaded(endpoint, f"{pending} rows wait, the limit is {limit}", 1.0)
        self._pending[endpoint] = pending + rows
