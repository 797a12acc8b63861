"""Single rows of many callers that ask the same endpoint in the same turn of the loop go through its routes together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from mesh.engine.merge import ShapeKey, join_batches, joinable_rows, shape_key, split_answer
from mesh.routing.types import Answer, Batch, Variant

Answering = Callable[[Batch, float | None, Variant | None], Awaitable[Answer]]

ALONE_ROWS = 64
"""A batch of this many rows gains nothing from company."""

_GroupKey = tuple[ShapeKey, bool, tuple[str, ...], Variant | None]


@dataclass(frozen=True, slots=True)
class _Member:
    batch: Batch
    future: asyncio.Future[Answer]


class Cohorts:
    """Groups the batches of one endpoint. Callers with a deadline of their own go alone, so that none shortens another's."""

    def __init__(self, answering: Answering, tasks: set[asyncio.Task[None]]) -> None:
        """`answering` runs the cascade; its tasks are kept in `tasks`, which the engine drains."""
        self._answering = answering
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._gathering: dict[_GroupKey, list[_Member]] = {}

    def submit(self, batch: Batch, deadline: float | None, variant: Variant | None) -> asyncio.Future[Answer]:
        """The answer for these rows. Cancelling the future leaves the others of the cohort undisturbed."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        member = _Member(batch, future)
        if deadline is not None or len(batch) >= ALONE_ROWS:
            self._start([member], deadline, variant)
            return future
        key = (shape_key(batch.tensors), batch.keys is None, tuple(batch.attributes), variant)
        if not self._gathering:
            self._loop.call_soon(self._flush)
        self._gathering.setdefault(key, []).append(member)
        return future

    def _flush(self) -> None:
        groups, self._gathering = self._gathering, {}
        for key, members in groups.items():
            for part in _parts(members):
                self._start(part, None, key[-1])

    def _start(self, members: list[_Member], deadline: float | None, variant: Variant | None) -> None:
        task = self._loop.create_task(self._answer(members, deadline, variant))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, members: list[_Member], deadline: float | None, variant: Variant | None) -> None:
        try:
            answer = await self._answering(join_batches([m.batch for m in members]), deadline, variant)
        except asyncio.CancelledError:
            for member in members:
                member.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every caller must hear of it, whatever it is
            for member in members:
                if not member.future.done():
                    member.future.set_exception(error)
            return
        for member, part in zip(members, split_answer(answer, [len(m.batch) for m in members]), strict=True):
            if not member.future.done():
                member.future.set_result(part)


def _parts(members: list[_Member]) -> Iterator[list[_Member]]:
    """The members in parts whose rows fit into one call."""
    first = members[0].batch
    if len(members) == 1 or len(members) * ALONE_ROWS <= (most := joinable_rows(first.tensors, len(first))):
        yield members
        return
    part: list[_Member] = []
    rows = 0
    for member in members:
        if part and rows + len(member.batch) > most:
            yield part
            part, rows = [], 0
        part.append(member)
        rows += len(member.batch)
    yield part
