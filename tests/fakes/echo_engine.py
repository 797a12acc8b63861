"""A small real engine for tests of the edges: it answers in process, and fails on request."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from mesh.errors import NotFound
from mesh.routing.types import Answer, Batch, Origin, RowFailure, Signature, TensorSpec, Variant

RULES = "5f1c9a0b"


class EchoEngine:
    """Every endpoint answers its inputs as they came.

    `signatures` gives the endpoints. What was asked last is kept in `last_batch`, `last_deadline`, `last_variant`.
    `failing` maps a row number to the failure it gets; `raising` is raised instead of an answer; `delay_s` is waited, and then
    for `gate` where there is one.
    """

    def __init__(
        self,
        signatures: Mapping[str, Signature | None],
        *,
        reads: Mapping[str, frozenset[str]] | None = None,
        confident: bool = True,
    ) -> None:
        self._signatures = dict(signatures)
        self._reads = dict(reads or {})
        self._confident = confident
        self.failing: dict[int, RowFailure] = {}
        self.raising: Exception | None = None
        self.delay_s = 0.0
        self.gate: asyncio.Event | None = None
        self.unready: set[str] = set()
        self.degraded = False
        self.canary_rows: set[int] = set()
        self.calls = 0
        self.last_batch: Batch | None = None
        self.last_deadline: float | None = None
        self.last_variant: Variant | None = None

    @property
    def endpoints(self) -> Sequence[str]:
        return tuple(self._signatures)

    def signature(self, endpoint: str) -> Signature | None:
        return self._signatures[endpoint]

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        return self._reads.get(endpoint, frozenset())

    def ready(self, endpoint: str) -> bool:
        return endpoint not in self.unready

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        if endpoint not in self._signatures:
            raise NotFound(f"no endpoint '{endpoint}'")
        self.calls += 1
        self.last_batch, self.last_deadline, self.last_variant = batch, deadline, variant
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.gate is not None:
            await self.gate.wait()
        if self.raising is not None:
            raise self.raising
        rows = len(batch)
        origin_of = np.zeros(rows, np.intp)
        for row in self.canary_rows:
            origin_of[row] = 1
        failed = {row: failure for row, failure in self.failing.items() if row < rows}
        origin_of[list(failed)] = -1
        return Answer(
            batch.tensors if len(failed) < rows else {},
            np.full(rows, 0.75, np.float32) if self._confident and len(failed) < rows else None,
            (Origin(endpoint, "1", "baseline", "primary"), Origin("canary-model", "2", "rollout", "canary")),
            origin_of,
            np.full(rows, self.degraded),
            failed,
            RULES,
        )


def signature(*inputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    """A signature whose outputs are its inputs."""
    specs = tuple(TensorSpec(name, datatype, shape) for name, datatype, shape in inputs)
    return Signature(specs, specs)
