"""The routing file of the documentation, and models that say what a test tells them to."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mesh.routing.cascade import CascadeResult, ModelCall, cascade
from mesh.routing.table import Canary, ModelFacts, Route, RouteTable, ShadowRule
from mesh.routing.types import Batch, CallResult, Scored
from mesh.routing.when import compile_when

Says = Callable[[ModelCall], CallResult]


TABLE = RouteTable(
    "default",
    (
        Route("baseline", compile_when("always"), send=("rules",)),
        Route(
            "hybrid-anomaly",
            compile_when("confidence >= 0.6"),
            send=("anomaly",),
            shadow=(ShadowRule("degrader"),),
        ),
        Route("canary-rollout", compile_when("rollout == true"), canary=Canary("anomaly", 10)),
    ),
)
FACTS = {name: ModelFacts(name, has_confidence=True) for name in ("rules", "anomaly", "degrader")}


def batch_of(n: int, **attributes: Sequence[object]) -> Batch:
    """`n` rows whose ids and keys are `row-0`, `row-1`, ..."""
    return Batch(
        {"x": np.arange(n, dtype=np.float32)[:, None]}, [f"row-{row}" for row in range(n)], None, attributes
    )


def saying(value: float, confidence: float | None = 0.5, version: str = "1") -> Says:
    """A model that says the same of every row."""

    def says(call: ModelCall) -> Scored:
        n = len(call.rows)
        sure = None if confidence is None else np.full(n, confidence, np.float32)
        return Scored({"y": np.full((n, 1), value, np.float32)}, sure, version)

    return says


def drive(
    table: RouteTable,
    facts: Mapping[str, ModelFacts],
    batch: Batch,
    models: Mapping[str, Says],
    variant: str | None = None,
) -> tuple[CascadeResult, list[list[tuple[str, list[int]]]]]:
    """The result, and the calls of each step as (model, rows)."""
    steps = cascade(table, facts, batch, variant)  # type: ignore[arg-type]
    made: list[list[tuple[str, list[int]]]] = []
    results: list[CallResult] | None = None
    while True:
        try:
            step = next(steps) if results is None else steps.send(results)
        except StopIteration as done:
            return done.value, made
        made.append([(call.model, call.rows.tolist()) for call in step.calls])
        results = [models[call.model](call) for call in step.calls]
