"""The models that the plan's score stages ask, opened in this process."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from ingest.in_process import InProcessEngine, LocalModel
from mesh.cli import environment
from mesh.errors import InvalidConfig
from mesh.pipeline.plan import Level, PipelinePlan
from mesh.registry.configured import on_this_machine
from mesh.routing.types import Scored, Tensors
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.spec import MeshConfig

_FILE: Final = "pipeline.yaml"


class LocalModels:
    """Holds the models open; close it."""

    def __init__(self, plan: PipelinePlan, mesh: MeshConfig) -> None:
        """Open what is asked at level L0.

        Raises `ArtifactError` where a model cannot be opened, and `InvalidConfig` for an endpoint that is a route table:
        there is no router here.
        """
        self._scorers: dict[str, Scorer] = {}
        for endpoint in asked(plan).values():
            if endpoint not in mesh.models:
                self.close()
                reason = f"'{endpoint}' is a route table: evaluate with a score stage that names a model"
                raise InvalidConfig(_FILE, 0, "stages", reason)
            artifact = on_this_machine(
                mesh.models[endpoint].artifact(), Path(environment.settings().config_dir)
            )
            self._scorers[endpoint] = Scorer(open_runtime(artifact), artifact)

    def engine(self) -> InProcessEngine:
        """Answers for the models, one call at a time."""
        return InProcessEngine(
            {
                name: LocalModel(scorer.signature, partial(_answers, scorer))
                for name, scorer in self._scorers.items()
            }
        )

    def close(self) -> None:
        """Free what the models hold."""
        for scorer in self._scorers.values():
            scorer.close()


def asked(plan: PipelinePlan) -> Mapping[str, str]:
    """The endpoint that each score stage asks at level L0."""
    found = {stage.name: stage.endpoint_at(Level.FULL) for stage in plan.stages if stage.kind == "score"}
    return {name: endpoint for name, endpoint in found.items() if endpoint is not None}


def _answers(scorer: Scorer, tensors: Tensors) -> Tensors:
    """What the model says, its confidence among the outputs; rows on which it raised hold NaN."""
    scored = scorer.score(tensors)
    return {name: _without(values, scored) for name, values in _outputs(scored).items()}


def _outputs(scored: Scored) -> dict[str, np.ndarray]:
    more = {} if scored.confidence is None else {"confidence": scored.confidence}
    return {**scored.outputs, **more}


def _without(values: np.ndarray, scored: Scored) -> np.ndarray:
    if not scored.failed or values.dtype.kind not in "fiu":
        return values
    kept = values.astype(np.float64)
    kept[list(scored.failed)] = np.nan
    return kept
