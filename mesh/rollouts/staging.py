"""What a rollout does to the rules: a pure change of a routing document that can be taken back exactly.

The document is what `routing.yaml` holds, as plain data. The rollout is a layer on it: `without` lifts the layer off, whatever
step it is at, and `staged` puts one on. So rules that people change meanwhile are kept, and lifting it off is a rollback.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mesh.errors import InvalidInput
from mesh.rollouts.plan import Plan, Step
from mesh.rollouts.states import Rollout

StageKind = Literal["none", "shadow", "canary", "all", "warm"]
Document = Mapping[str, Any]
Route = dict[str, Any]

EXCLUDED: Final = "-excluded"
WARM_PERCENT: Final = 1.0
"""The share of rows that the old model goes on seeing after a promotion, so that it is loaded when it is wanted back."""
_BARE: Final = "default"


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the candidate is let in: compared on `shadow` percent of the rows, answering `canary` percent of them."""

    kind: StageKind
    shadow: float = 0.0
    canary: float = 0.0


def stage_of(rollout: Rollout) -> Stage:
    """What the rules must say while the rollout is as it is."""
    match rollout.state:
        case "Shadowing" | "Progressing" | "Paused":
            return _of_step(rollout.plan.steps, rollout.step)
        case "Promoting":
            return Stage("all")
        case "Promoted":
            return Stage("warm", shadow=WARM_PERCENT) if rollout.warm else Stage("all")
        case _:
            return Stage("none")


def _of_step(steps: Sequence[Step], number: int) -> Stage:
    """The stage of a step; one without traffic of its own keeps the stage of the step before."""
    compared = 100.0
    stage = Stage("none")
    for step in steps[: number + 1]:
        if step.kind == "shadow":
            compared = step.percent
            stage = Stage("shadow", shadow=compared)
        elif step.kind == "canary":
            stage = Stage("canary", shadow=compared, canary=step.percent)
    return stage


def staged(document: Document, plan: Plan, stage: Stage) -> dict[str, Any]:
    """The document with the candidate let in. Raises `InvalidInput` where the rules give it no place.

    The stage `none` needs no place: where the endpoint is gone, so is whatever the rollout had put there.
    """
    if stage.kind == "none" and _found(document, plan) is None:
        return dict(document)
    clean = without(document, plan)
    if stage.kind == "none":
        return clean
    table = _table(clean, plan)
    touched = False
    routes: list[Route] = []
    for route in table["routes"]:
        if plan.primary in _named(route):
            _refuse_company(route, plan)
            touched = True
            routes += _changed(route, plan, stage)
        elif stage.kind in ("all", "warm") and _bare_canary(route) == plan.primary:
            routes.append(_with_canary(route, plan.candidate))
        else:
            routes.append(route)
    if not touched:
        raise InvalidInput(
            "primary", f"no route of endpoint '{plan.endpoint}' sends rows to '{plan.primary}'"
        )
    if stage.kind in ("all", "warm") and table.get("fallback") == plan.primary:
        table = {**table, "fallback": plan.candidate}
    return _with_table(clean, plan, {**table, "routes": routes})


def without(document: Document, plan: Plan) -> dict[str, Any]:
    """The document as it would be without the rollout. Raises `InvalidInput` where there is no such endpoint."""
    table = _table(document, plan)
    routes: list[Route] = []
    for route in table["routes"]:
        if routes and _is_veto(route, routes[-1], plan):
            routes[-1] = {**routes[-1], "when": _joined_when(routes[-1], plan)}
        else:
            routes.append(route)
    table = {**table, "routes": [_cleaned(route, plan) for route in routes]}
    if table.get("fallback") == plan.candidate:
        table["fallback"] = plan.primary
    return _with_table(document, plan, table)


def refuse_known(document: Document, plan: Plan) -> None:
    """`InvalidInput` where the candidate stands in the rules before the rollout begins: two would then move it."""
    table = _table(document, plan)
    for route in table["routes"]:
        if plan.candidate in {*_named(route), *_shadows(route), *_canary(route)}:
            reason = f"'{plan.candidate}' is in route '{route['name']}' already; take it out first"
            raise InvalidInput("candidate", reason)
    if table.get("fallback") == plan.candidate:
        # A rollback could not tell it from one that the promotion put there.
        reason = f"'{plan.candidate}' is the `fallback` of endpoint '{plan.endpoint}' already; name another there first"
        raise InvalidInput("candidate", reason)


def _changed(route: Route, plan: Plan, stage: Stage) -> list[Route]:
    if stage.kind in ("all", "warm"):
        after = {**route, "send": [plan.candidate]}
        return [_shadowing(after, plan.primary, stage.shadow) if stage.shadow else after]
    after = _shadowing(route, plan.candidate, stage.shadow)
    if stage.kind == "shadow":
        return [after]
    after["canary"] = {"model": plan.candidate, "percent": stage.canary}
    if plan.exclude is None:
        return [after]
    # A rule outranks the split: rows that it names never come to the route that draws lots.
    when = route["when"]
    veto = plan.exclude if when == "always" else _both(when, f"({plan.exclude})")
    excluded = {**route, "name": route["name"] + EXCLUDED, "when": veto}
    return [{**after, "when": _both(when, f"!({plan.exclude})")}, excluded]


def _shadowing(route: Route, model: str, percent: float) -> Route:
    return {**route, "shadow": [*route.get("shadow", ()), {"model": model, "percent": percent}]}


def _cleaned(route: Route, plan: Plan) -> Route:
    """The route without the candidate."""
    after = dict(route)
    taken = {plan.candidate}
    if _bare_canary(after) == plan.candidate:
        return _with_canary(after, plan.primary)
    if after.get("send") == [plan.candidate]:
        after["send"] = [plan.primary]
        taken.add(plan.primary)
    if plan.candidate in _canary(after):
        del after["canary"]
    if taken & _shadows(after):
        kept = [one for one in after["shadow"] if _model_of(one) not in taken]
        after["shadow"] = kept
        if not kept:
            del after["shadow"]
    return after


def _is_veto(route: Route, before: Route, plan: Plan) -> bool:
    named = plan.exclude is not None and route["name"] == before["name"] + EXCLUDED
    return named and plan.candidate in _canary(before)


def _joined_when(route: Route, plan: Plan) -> str:
    """The condition that `_both` was given; another, which people have written since, stays theirs."""
    alone = f"!({plan.exclude})"
    end, when = f" && {alone}", str(route["when"])
    if when == alone:
        return "always"
    return when[1 : -len(end) - 1] if when.startswith("(") and when.endswith(")" + end) else when


def _both(when: str, other: str) -> str:
    return other if when == "always" else f"({when}) && {other}"


def _refuse_company(route: Route, plan: Plan) -> None:
    if route.get("send") != [plan.primary] or "canary" in route or "split" in route:
        reason = (
            f"route '{route['name']}' gives '{plan.primary}' rows beside others (send, split or canary); "
            "a rollout replaces a model that answers alone"
        )
        raise InvalidInput("primary", reason)


def _named(route: Route) -> set[str]:
    """The models that may answer the route, but for its canary."""
    return {*(route.get("send") or ()), *(route.get("split") or ())}


def _canary(route: Route) -> set[str]:
    canary = route.get("canary")
    return {canary["model"]} if canary else set()


def _bare_canary(route: Route) -> str | None:
    """The canary of a route that sends rows to nothing else: no canary of a rollout stands alone."""
    return None if _named(route) else next(iter(_canary(route)), None)


def _with_canary(route: Route, model: str) -> Route:
    return {**route, "canary": {**route["canary"], "model": model}}


def _shadows(route: Route) -> set[str]:
    return {_model_of(one) for one in route.get("shadow") or ()}


def _model_of(shadow: object) -> str:
    return str(shadow["model"]) if isinstance(shadow, Mapping) else str(shadow)


def _table(document: Document, plan: Plan) -> dict[str, Any]:
    """The endpoint's part of the document."""
    table = _found(document, plan)
    if table is None:
        known = [*([_BARE] if document.get("routes") else []), *(document.get("endpoints") or {})]
        there = ", ".join(known) or "none"
        raise InvalidInput("endpoint", f"no endpoint '{plan.endpoint}' in the rules; there are: {there}")
    return dict(table)


def _found(document: Document, plan: Plan) -> Mapping[str, Any] | None:
    if plan.endpoint == _BARE and document.get("routes"):
        return document
    table: Mapping[str, Any] | None = (document.get("endpoints") or {}).get(plan.endpoint)
    return table


def _with_table(document: Document, plan: Plan, table: dict[str, Any]) -> dict[str, Any]:
    if plan.endpoint == _BARE and document.get("routes"):
        return table
    return {**document, "endpoints": {**document["endpoints"], plan.endpoint: table}}
