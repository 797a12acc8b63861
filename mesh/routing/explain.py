"""Why a row was answered as it was: the same cascade, telling what it considered."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mesh.routing.cascade import settle
from mesh.routing.facts import ModelFacts
from mesh.routing.plan import PlannedRoute
from mesh.routing.progress import Progress
from mesh.routing.steps import CascadeResult, Step
from mesh.routing.table import RouteTable
from mesh.routing.types import MISSING, Batch, CallResult, Variant
from mesh.routing.when import ANSWER_NAMES


@dataclass(frozen=True, slots=True)
class Considered:
    """One route and the row.

    `read` is what its condition read, `MISSING` where there was nothing; an answer that the attributes made irrelevant
    was not asked for and is left out. `place` is where the row's key falls in [0, 1)
    under the route's salt, where the route has a share to draw for. `models` and `role` are the source that it put on
    top of the row's answer, empty and None where it left the answer as it was. `reason` says all that in words.
    """

    route: str
    when: str
    applied: bool
    read: Mapping[str, object]
    place: float | None
    models: tuple[str, ...]
    role: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The routes in order, whether the row came to them or not, the models asked in order, and the result."""

    endpoint: str
    rules: str
    key: str
    routes: tuple[Considered, ...]
    called: tuple[str, ...]
    result: CascadeResult


def explain(
    table: RouteTable, facts: Mapping[str, ModelFacts], batch: Batch, variant: Variant | None = None
) -> Generator[Step, Sequence[CallResult], Explanation]:
    """Route a batch of one row, as `cascade` does and with the same steps to drive, and say why.

    Raises `ValueError` for a batch that is not one row.
    """
    if len(batch) != 1:
        raise ValueError(f"one row is explained at a time, not {len(batch)}")
    progress = Progress(table, facts, batch, variant)
    called: list[str] = []
    considered: list[Considered] = []
    for route in table.plan.routes:
        over = progress.ended
        if route.when.reads_answer and not over:
            yield from _told(settle(progress, progress.needed(route)), called)
        considered.append(_considered(progress, route, over=over))
    yield from _told(settle(progress, None), called)
    if table.plan.fallback is not None:
        progress.fall_back(table.plan.fallback)
        yield from _told(settle(progress, None), called)
    key = progress.keys.texts[0]
    return Explanation(
        table.endpoint, table.rules_hash, key, tuple(considered), tuple(called), progress.result()
    )


def _told(
    steps: Generator[Step, Sequence[CallResult], None], called: list[str]
) -> Generator[Step, Sequence[CallResult], None]:
    """Pass the steps on and note the models."""
    results: Sequence[CallResult] | None = None
    while True:
        try:
            step = next(steps) if results is None else steps.send(results)
        except StopIteration:
            return
        called += [call.model for call in step.calls]
        results = yield step


def _considered(progress: Progress, route: PlannedRoute, *, over: bool) -> Considered:
    """Apply the route, and tell what came of it."""
    before = len(progress.stack.entries)
    names = () if over else sorted(route.when.reads - (ANSWER_NAMES if progress.stack.open else frozenset()))
    read = {name: _value(progress, name) for name in names}
    applied = bool(len(progress.apply(route)))
    new = progress.stack.entries[before:]
    source = new[0].source if new else None
    drawn = applied and (route.canary is not None or len(route.primary) > 1)
    place = progress.keys.place(route.salt, 0) if drawn else None
    models = source.models if source else ()
    role = source.role if source else None
    reason = _reason(route, read, models, role, place, applied=applied, over=over)
    return Considered(route.name, route.when.text, applied, read, place, models, role, reason)


def _value(progress: Progress, name: str) -> object:
    column = progress.lookup(name)
    if column is None:
        return MISSING
    return column.tolist()[0] if isinstance(column, np.ndarray) else column[0]


def _reason(
    route: PlannedRoute,
    read: Mapping[str, object],
    models: Sequence[str],
    role: str | None,
    place: float | None,
    *,
    applied: bool,
    over: bool,
) -> str:
    if over:
        return "not reached: the cascade was over for this row"
    values = ", ".join(f"{name} is {_shown(value)}" for name, value in read.items())
    because = f" ({values})" if values else ""
    if not applied:
        return f"does not apply{because}"
    parts = [f"applies{because}"]
    if place is not None and route.canary is not None:
        inside = place < route.canary_share
        side = "inside" if inside else "outside"
        parts.append(f"its key falls at {place:.6f}, {side} the canary's share of {route.canary_share:.6g}")
        if inside != (role == "canary"):
            parts.append("the caller's choice of variant goes before that")
    elif place is not None:
        parts.append(f"its key falls at {place:.6f} of the split")
    parts.append(f"sends it to {' and '.join(models)}" if models else "leaves the answer as it is")
    if route.shadows:
        parts.append(f"shadowed by {', '.join(shadow.model for shadow in route.shadows)}")
    if route.final:
        parts.append("ends the cascade")
    return "; ".join(parts)


def _shown(value: object) -> str:
    if value is MISSING:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
