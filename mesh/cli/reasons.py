"""Which routes one row takes, and why.

The table is run with one route more each time, so that the mesh's own code decides and this only looks on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mesh.routing.cascade import CascadeResult, cascade
from mesh.routing.facts import ModelFacts, labels_of, scores_of
from mesh.routing.table import RouteTable
from mesh.routing.types import MISSING, Answer, Batch, CallResult, Variant

Call = Callable[[str], CallResult]
"""What a model says of the row."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What one route did with the row. `read` is what its `when` saw; `answer` what stands after it."""

    route: str
    when: str
    applies: bool
    read: Mapping[str, object]
    answer: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row's way through a table. `called` are the models asked for it, in order."""

    reasons: tuple[Reason, ...]
    called: tuple[str, ...]
    answer: str
    shadows: tuple[str, ...]


def explain_row(
    table: RouteTable, facts: Mapping[str, ModelFacts], row: Batch, call: Call, variant: Variant | None
) -> Explanation:
    """The way of `row`, a batch of one."""
    reasons: list[Reason] = []
    so_far: Answer | None = None
    for index, route in enumerate(table.routes):
        read = {name: _column(name, facts, row, so_far) for name in sorted(route.when.reads)}
        applies = bool(route.when.mask(1, read.__getitem__)[0])
        part = replace(table, routes=table.routes[: index + 1], fallback=None)
        so_far = _run(part, facts, row, call, variant)[0].answer
        shown = {name: column[0] for name, column in read.items()}
        reasons.append(Reason(route.name, route.when.text, applies, shown, said(so_far)))
        if applies and route.final:
            break
    result, called = _run(table, facts, row, call, variant)
    shadows = tuple(f"{one.model} ({one.route})" for one in result.shadows)
    return Explanation(tuple(reasons), called, said(result.answer), shadows)


def said(answer: Answer) -> str:
    """`rules · baseline · primary, confidence 0.30`, or why there is no answer."""
    failure = answer.failed.get(0)
    if failure is not None:
        return f"none: {failure.reason}"
    origin = answer.origins[int(answer.origin_of[0])]
    sure = "" if answer.confidence is None else f", confidence {float(answer.confidence[0]):.4g}"
    return f"{origin.model} · {origin.route} · {origin.role}{sure}" + (
        ", degraded" * bool(answer.degraded[0])
    )


def _run(
    table: RouteTable, facts: Mapping[str, ModelFacts], row: Batch, call: Call, variant: Variant | None
) -> tuple[CascadeResult, tuple[str, ...]]:
    steps = cascade(table, facts, row, variant)
    called: list[str] = []
    try:
        step = next(steps)
        while True:
            names = [one.model for one in step.calls]
            called += names
            step = steps.send([call(name) for name in names])
    except StopIteration as end:
        return end.value, tuple(called)


def _column(name: str, facts: Mapping[str, ModelFacts], row: Batch, answer: Answer | None) -> np.ndarray:
    """What a `when` reads under `name`: one element."""
    if name not in ("confidence", "score", "label", "model"):
        return _object(row.attributes[name][0])
    if answer is None or 0 in answer.failed:
        return _object(MISSING)
    model = answer.origins[int(answer.origin_of[0])].model
    if name == "model":
        return _object(model)
    column = answer.confidence if name == "confidence" else _read(name, facts[model], answer)
    return _object(MISSING) if column is None else column


def _read(name: str, facts: ModelFacts, answer: Answer) -> np.ndarray | None:
    if name == "score":
        return None if facts.score is None else scores_of(facts.score, answer.outputs)
    return None if facts.label is None else labels_of(facts.label, answer.outputs)


def _object(value: object) -> np.ndarray:
    column = np.empty(1, object)
    column[0] = value
    return column
