"""What can happen on the way through a table: what is reached, what is read, and the longest way."""

from collections.abc import Iterator, Mapping, Sequence

from mesh.routing.facts import ModelFacts
from mesh.routing.problems import Problem
from mesh.routing.routes import Route
from mesh.routing.table import RouteTable
from mesh.routing.when import ANSWER_NAMES

_MAX_WAYS = 1024


def unreachable_problems(table: RouteTable) -> Iterator[Problem]:
    """Routes that can never do anything for any row."""
    for index, route in enumerate(table.routes):
        reason = _unreachable(table, index)
        if reason:
            yield Problem(("routes", index), f"route '{route.name}' is never reached: {reason}")
        hiding = _hidden_by(route, table.routes[index + 1 :])
        if hiding:
            yield Problem(
                ("routes", index),
                f"route '{route.name}' never answers: '{hiding}' takes over all its rows before anything reads it",
            )


def _unreachable(table: RouteTable, index: int) -> str | None:
    route = table.routes[index]
    if route.when.never:
        return "its condition is false for every row"
    for above in table.routes[:index]:
        if above.final and above.when.always:
            return f"'{above.name}' above it is final for every row"
        if above.final and not above.when.reads_answer and above.when.canonical == route.when.canonical:
            return f"'{above.name}' above it has the same condition and is final"
    only_canary = route.canary is not None and not route.send and not route.shadow and not route.final
    if only_canary and route.canary and route.canary.percent == 0 and not table.variants_allowed:
        return "its canary takes 0 percent, and it sends rows nowhere else"
    return None


def _hidden_by(route: Route, later: Sequence[Route]) -> str | None:
    """The later route, if there is one, that takes over every row of `route` even where it fails itself."""
    if not route.answering or route.shadow or route.final:
        return None
    for other in later:
        if other.when.reads_answer:
            return None
        if other.when.always and (other.send or other.split) and other.on_error == "fail":
            return other.name
    return None


def readable_problems(table: RouteTable, facts: Mapping[str, ModelFacts]) -> Iterator[Problem]:
    """Conditions and shadows that need an answer, or a part of it, that no row has at that place."""
    standing: dict[str, Route] = {}  # models whose answer a row may have here, without failures
    for index, route in enumerate(table.routes):
        if route.when.reads_answer and not standing:
            names = ", ".join(sorted(route.when.reads & ANSWER_NAMES))
            yield Problem(("routes", index, "when"), f"reads {names}, but no route above answers")
        if route.shadow and not (route.send or route.split or standing):
            reason = (
                "has nothing to be compared with: the route has no send or split, and no route above answers"
            )
            yield Problem(("routes", index, "shadow"), reason)
        for name in sorted(route.when.reads & {"confidence", "score", "label"}):
            lacking = [m for m, by in standing.items() if m in facts and not _has(facts[m], name, by)]
            if lacking:
                yield Problem(
                    ("routes", index, "when"),
                    f"reads {name}, but {_listed(lacking)}, which may have answered by then, declares no {name} "
                    "in models.yaml",
                )
        if route.when.always and (route.send or route.split) and not route.when.never:
            standing = {}
        if not route.when.never:
            standing |= dict.fromkeys(route.answering, route)
            if route.on_error == "fallback" and table.fallback is not None:
                standing.setdefault(table.fallback, route)


def _has(facts: ModelFacts, name: str, route: Route) -> bool:
    if name == "confidence":
        counted = route.combine == "vote" and len(route.send) > 1  # a vote makes a confidence of its own
        return facts.has_confidence or counted
    return (facts.score if name == "score" else facts.label) is not None


def _listed(models: Sequence[str]) -> str:
    return ", ".join(f"'{model}'" for model in models)


def worst_case_ms(table: RouteTable, facts: Mapping[str, ModelFacts]) -> tuple[float, tuple[str, ...]]:
    """The longest that a row without failures may take, and the calls on its way, by `expected_ms`.

    Rows wait where a condition reads the answer so far, and at the end. Between two waits, at most one source
    is asked; models of one source work at the same time; a model that was asked before answers at once.
    """
    ways: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {frozenset(): (0.0, ())}
    pending: list[tuple[str, ...]] = []
    certain = False  # every row has something pending
    for route in table.routes:
        if route.when.reads_answer:
            ways = _waited(ways, pending, facts, certain=certain)
            pending, certain = [], False
        if route.when.always and (route.send or route.split):
            pending, certain = [], True
        if not route.when.never:
            pending += [route.send] if route.send else []
            pending += [(model,) for model, _ in (route.split.shares if route.split else ())]
            pending += [(route.canary.model,)] if route.canary else []
    return max(_waited(ways, pending, facts, certain=certain).values())


def _waited(
    ways: Mapping[frozenset[str], tuple[float, tuple[str, ...]]],
    pending: Sequence[tuple[str, ...]],
    facts: Mapping[str, ModelFacts],
    *,
    certain: bool,
) -> dict[frozenset[str], tuple[float, tuple[str, ...]]]:
    """The ways on after any of the pending sources was asked; by models called, the longest each."""
    further = {} if certain else dict(ways)
    for called, (took, steps) in ways.items():
        for models in pending:
            times = {m: _expected(facts, m) for m in models if m not in called}
            longest = max(times, key=times.__getitem__, default=None)
            now = (took + times[longest], (*steps, longest)) if longest else (took, steps)
            key = called | frozenset(models)
            if key not in further or further[key] < now:
                further[key] = now
    # Tables with so many ways are rare; then the longest so far go on, which finds less, never more than there is.
    return dict(sorted(further.items(), key=lambda way: way[1], reverse=True)[:_MAX_WAYS])


def _expected(facts: Mapping[str, ModelFacts], model: str) -> float:
    known = facts.get(model)
    return known.expected_ms or 0.0 if known else 0.0
