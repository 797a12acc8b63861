"""The models of `models.yaml` in this process, opened by the same runtimes that the mesh opens them with."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from mesh.errors import InvalidInput, NotFound
from mesh.pipeline.plan import PipelinePlan
from mesh.routing.types import Answer, Batch, Origin, RowFailure, Signature, Variant
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.spec import MeshConfig


class OpenedModels:
    """An engine whose endpoints are models; a route table's cascade is not played."""

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        self._scorers = dict(scorers)

    @classmethod
    def of(cls, mesh: MeshConfig, plan: PipelinePlan) -> "OpenedModels":
        """Those that the plan's score stages ask. Raises `InvalidInput` for a route table, `ArtifactError`."""
        wanted = {name for stage in plan.stages for name in stage.endpoints.values()}
        tables = sorted(wanted - mesh.models.keys())
        if tables:
            reason = f"'{tables[0]}' is a route table; an evaluation asks models by their own names"
            raise InvalidInput("pipeline.yaml: endpoints", reason)
        artifacts = {name: mesh.models[name].artifact() for name in sorted(wanted)}
        return cls({name: Scorer(open_runtime(one), one) for name, one in artifacts.items()})

    @property
    def endpoints(self) -> Sequence[str]:
        """The models' names."""
        return tuple(self._scorers)

    def signature(self, endpoint: str) -> Signature | None:
        """What the model takes and gives."""
        return self._scorer(endpoint).signature

    def attributes_read(self, _endpoint: str) -> frozenset[str]:
        """Models read none here."""
        return frozenset()

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N rows; nothing is late here."""
        del deadline, variant
        scored = await asyncio.to_thread(self._scorer(endpoint).score, batch.tensors)
        failed = {row: RowFailure(endpoint, "raised", reason) for row, reason in scored.failed.items()}
        origin_of = np.zeros(len(batch), np.intp)
        origin_of[list(failed)] = -1
        return Answer(
            outputs=scored.outputs,
            confidence=scored.confidence,
            origins=(Origin(endpoint, scored.version, "direct", "primary"),),
            origin_of=origin_of,
            degraded=np.zeros(len(batch), bool),
            failed=failed,
            rules="",
        )

    def close(self) -> None:
        """Free what the runtimes hold."""
        for scorer in self._scorers.values():
            scorer.close()

    def _scorer(self, endpoint: str) -> Scorer:
        if endpoint not in self._scorers:
            raise NotFound(f"no model '{endpoint}' is opened; there are: {', '.join(self._scorers)}")
        return self._scorers[endpoint]
