"""Does a route table make sense? Every problem is found at once, so that a file is put right in one go."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from mesh.routing.facts import ModelFacts
from mesh.routing.problems import KeyPath, Problem, nearest
from mesh.routing.reach import readable_problems, unreachable_problems, worst_case_ms
from mesh.routing.routes import COMBINES, FALLBACK_ROUTE, ON_ERRORS, Route
from mesh.routing.schemas import schema_problems
from mesh.routing.table import RouteTable, models_with_paths
from mesh.routing.when import ANSWER_NAMES


def find_problems(table: RouteTable, facts: Mapping[str, ModelFacts]) -> list[Problem]:
    """Everything that is wrong with `table`, in the order of the file; empty for a table that may run.

    `facts` holds every hosted model; where a model's signature or time is not known, what depends on it is
    not checked.
    """
    problems = [*_of_endpoint(table)]
    for index, route in enumerate(table.routes):
        problems += _of_route(route, ("routes", index), table)
    problems += _of_names(table)
    problems += _of_models(table, facts)
    problems += unreachable_problems(table)
    problems += readable_problems(table, facts)
    problems += schema_problems(table, facts)
    if not problems:
        problems += _of_deadline(table, facts)
    return sorted(problems, key=lambda problem: _order(problem.key_path))


def _order(path: KeyPath) -> tuple[int, int]:
    """Problems of the endpoint itself come first, then route by route."""
    index = path[1] if len(path) > 1 and path[0] == "routes" else -1
    return (int(path[0] == "routes"), index if isinstance(index, int) else -1)


def _of_endpoint(table: RouteTable) -> Iterator[Problem]:
    if not table.routes:
        yield Problem(("routes",), "an endpoint needs at least one route")
    elif not table.answering:
        yield Problem(
            ("routes",), "no route sends rows to a model, and there is no fallback: nothing can answer"
        )
    if table.key is not None and table.key in ANSWER_NAMES:
        yield Problem(
            ("key",), f"'{table.key}' is part of the answer; the sticky key must be an attribute of the row"
        )
    if table.deadline_ms is not None and not table.deadline_ms > 0:
        yield Problem(("deadline_ms",), f"must be above 0, not {table.deadline_ms}")


def _of_names(table: RouteTable) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, route in enumerate(table.routes):
        path = ("routes", index, "name")
        if route.name in first:
            yield Problem(path, f"'{route.name}' is the name of route {first[route.name] + 1} already")
        first.setdefault(route.name, index)
        if route.name == FALLBACK_ROUTE:
            yield Problem(path, f"'{FALLBACK_ROUTE}' is the name that fallback answers carry; choose another")
        if not route.name or "/" in route.name:
            yield Problem(path, "a route needs a name, without '/'")


def _of_route(route: Route, at: KeyPath, table: RouteTable) -> Iterator[Problem]:
    if not route.answering and not route.shadow and not route.final:
        yield Problem(at, "does nothing: give send, split, canary, shadow or final")
    if route.send and route.split:
        yield Problem(
            (*at, "split"), "send and split exclude each other: split sends each row to one of its models"
        )
    if route.canary and route.split:
        yield Problem(
            (*at, "canary"),
            "canary and split exclude each other; give the canary a share of the split, or a route after it",
        )
    if route.on_error not in ON_ERRORS:
        yield Problem(
            (*at, "on_error"), f"unknown '{route.on_error}'{nearest(str(route.on_error), ON_ERRORS)}"
        )
    if route.on_error == "fallback" and table.fallback is None:
        yield Problem((*at, "on_error"), "the endpoint has no fallback: give it one, or choose next or fail")
    if route.combine is not None and route.combine not in COMBINES:
        yield Problem((*at, "combine"), f"unknown '{route.combine}'{nearest(str(route.combine), COMBINES)}")
    yield from _of_repeats(route, at)
    yield from _of_shares(route, at)


def _of_repeats(route: Route, at: KeyPath) -> Iterator[Problem]:
    for model, count in Counter(route.send).items():
        if count > 1:
            yield Problem((*at, "send"), f"'{model}' stands there {count} times")
    for model, count in Counter(shadow.model for shadow in route.shadow).items():
        if count > 1:
            yield Problem((*at, "shadow"), f"'{model}' stands there {count} times")
        if route.send == (model,):
            yield Problem((*at, "shadow"), f"'{model}' would be compared with itself: it is what send names")
    if route.canary and route.send == (route.canary.model,):
        yield Problem((*at, "canary", "model"), f"'{route.canary.model}' is what send names already")


def _of_shares(route: Route, at: KeyPath) -> Iterator[Problem]:
    shares: list[tuple[KeyPath, float]] = []
    if route.canary:
        shares.append(((*at, "canary", "percent"), route.canary.percent))
    shares += [((*at, "shadow", place, "percent"), each.percent) for place, each in enumerate(route.shadow)]
    parts = route.split.shares if route.split else ()
    shares += [((*at, "split", model), percent) for model, percent in parts]
    wrong = False
    for path, percent in shares:
        if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
            wrong = True
            yield Problem(path, f"a percent is a number from 0 to 100, not {percent}")
    if parts and not wrong and not math.isclose(total := sum(percent for _, percent in parts), 100):
        yield Problem((*at, "split"), f"the percents sum to {total:g}; they must sum to 100")


def _of_models(table: RouteTable, facts: Mapping[str, ModelFacts]) -> Iterator[Problem]:
    for model, path in models_with_paths(table):
        if model not in facts:
            yield Problem(path, f"unknown model '{model}'{nearest(model, facts)}")
    for index, route in enumerate(table.routes):
        lacking = [f"'{model}'" for model in route.send if model in facts and facts[model].label is None]
        if route.combine == "vote" and lacking:
            reason = f"a vote counts labels, and {', '.join(lacking)} declares no label in models.yaml"
            yield Problem(("routes", index, "combine"), reason)


def _of_deadline(table: RouteTable, facts: Mapping[str, ModelFacts]) -> Iterator[Problem]:
    if table.deadline_ms is None:
        return
    worst, way = worst_case_ms(table, facts)
    if worst > table.deadline_ms:
        yield Problem(
            ("deadline_ms",),
            f"a row may need {worst:g} ms ({', then '.join(way)} by their expected_ms), more than {table.deadline_ms:g}",
        )


__all__ = ["Problem", "find_problems"]
