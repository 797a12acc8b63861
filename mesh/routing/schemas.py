"""Do the models of one table fit together, as far as their signatures are known?"""

from collections.abc import Iterator, Mapping, Sequence

from mesh.routing.facts import ModelFacts
from mesh.routing.problems import Problem
from mesh.routing.signature import describe
from mesh.routing.table import RouteTable, models_with_paths
from mesh.routing.types import TensorSpec


def schema_problems(table: RouteTable, facts: Mapping[str, ModelFacts]) -> Iterator[Problem]:
    """Models that answer must have the same outputs, and all models, shadows too, take the same inputs."""
    known = [
        (model, path, signature)
        for model, path in models_with_paths(table)
        if model in facts and (signature := facts[model].signature) is not None
    ]
    answering = set(table.answering)
    told: set[str] = set()
    for side in ("inputs", "outputs"):
        sided = [(m, p, s.inputs if side == "inputs" else s.outputs) for m, p, s in known]
        if side == "outputs":
            sided = [entry for entry in sided if entry[0] in answering]
        for model, path, specs in sided[1:]:
            first, _, expected = sided[0]
            if model not in told and not _alike(expected, specs):
                told.add(model)
                yield Problem(
                    path,
                    f"'{model}' has the {side} {_text(specs)}, but '{first}' of the same endpoint has {_text(expected)}",
                )


def _alike(one: Sequence[TensorSpec], other: Sequence[TensorSpec]) -> bool:
    """Same names and datatypes, and shapes that can be the same; -1 stands for any size."""
    if len(one) != len(other):
        return False
    by_name = {spec.name: spec for spec in other}
    return all(spec.name in by_name and _fits(spec, by_name[spec.name]) for spec in one)


def _fits(one: TensorSpec, other: TensorSpec) -> bool:
    if one.datatype != other.datatype or len(one.shape) != len(other.shape):
        return False
    return all(-1 in (a, b) or a == b for a, b in zip(one.shape[1:], other.shape[1:], strict=True))


def _text(specs: Sequence[TensorSpec]) -> str:
    return (
        ", ".join(f"{spec.name} {describe(spec)}" for spec in sorted(specs, key=lambda spec: spec.name))
        or "none"
    )
