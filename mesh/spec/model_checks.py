"""Does a model's declaration fit itself? What can be known without opening the artifact."""

import math
from collections.abc import Iterator

from mesh.errors import InvalidConfig
from mesh.routing.problems import KeyPath, nearest
from mesh.spec.document import Document
from mesh.spec.model_file import IDENTITY_INPUTS, ModelEntry, ModelsFile, version_in
from mesh.spec.options import OPTIONS_OF
from mesh.spec.problems import problem_at, problems_in

Finding = tuple[KeyPath, str]
"""A key below the model, and what is wrong there."""


def model_problems(document: Document, file: ModelsFile) -> list[InvalidConfig]:
    """Every mistake that the shape of the file alone does not show."""
    problems: list[InvalidConfig] = []
    for name, entry in file.models.items():
        at: KeyPath = ("models", name)
        options = OPTIONS_OF[entry.runtime]
        if options is not None:
            problems += problems_in(options, document, entry.options, (*at, "options"))
        twin = name.partition("@")[0]
        if version_in(name) and twin in file.models and file.models[twin].version == version_in(name):
            reason = f"is the version that '{twin}' has already; give one of them another"
            problems.append(problem_at(document, at, reason))
        for findings in (
            _version(name, entry),
            _repeated(entry),
            _confidence(entry),
            _score(entry),
            _label(entry),
        ):
            problems += [problem_at(document, (*at, *path), reason) for path, reason in findings]
    return problems


def _version(name: str, entry: ModelEntry) -> Iterator[Finding]:
    named = version_in(name)
    if named and "version" in entry.model_fields_set and entry.version != named:
        yield ("version",), f"'{entry.version}' is not the version in the name '{name}': remove it"


def _repeated(entry: ModelEntry) -> Iterator[Finding]:
    for side, tensors in (("inputs", entry.inputs or ()), ("outputs", entry.outputs or ())):
        seen: set[str] = set()
        for index, tensor in enumerate(tensors):
            if tensor.name in seen:
                yield (side, index, "name"), f"'{tensor.name}' is declared twice"
            seen.add(tensor.name)


def _confidence(entry: ModelEntry) -> Iterator[Finding]:
    if entry.confidence is None:
        if "confidence" in (_shapes(entry) or {}):
            hint = "declare confidence: {output: confidence}, or rename the output"
            yield ("outputs",), f"the output name 'confidence' is the mesh's own; {hint}"
        return
    rule = entry.confidence.rule()
    where: KeyPath = ("confidence", rule.kind)
    yield from _known(entry, where, rule.output)
    shapes = _shapes(entry)
    if rule.kind == "output" and shapes is not None and set(shapes) == {rule.output}:
        yield where, "it is the model's only output; an answer needs another one"


def _score(entry: ModelEntry) -> Iterator[Finding]:
    if entry.score is None:
        return
    yield from _known(entry, ("score", "output"), entry.score.output)
    shape = (_shapes(entry) or {}).get(entry.score.output)
    if shape is None:
        return
    columns = math.prod(shape[1:])
    if -1 not in shape[1:] and entry.score.column >= columns:
        yield (
            ("score", "column"),
            f"{entry.score.column} is past the last column of '{entry.score.output}', {columns - 1}",
        )


def _label(entry: ModelEntry) -> Iterator[Finding]:
    if entry.label is None:
        return
    output = entry.label.argmax or entry.label.output or ""
    yield from _known(entry, ("label", "argmax" if entry.label.argmax else "output"), output)
    shape = (_shapes(entry) or {}).get(output)
    names = entry.label.names
    if (
        entry.label.argmax
        and shape is not None
        and names
        and len(shape) == 2
        and shape[1] not in (-1, len(names))
    ):
        yield ("label", "names"), f"{len(names)} names for the {shape[1]} columns of '{output}'"


def _known(entry: ModelEntry, where: KeyPath, output: str) -> Iterator[Finding]:
    shapes = _shapes(entry)
    if shapes is not None and output not in shapes:
        yield where, f"'{output}' is not one of the declared outputs{nearest(output, shapes)}"


def _shapes(entry: ModelEntry) -> dict[str, tuple[int, ...]] | None:
    """Output shapes by name, as far as they are declared."""
    if entry.outputs is not None:
        return {tensor.name: tensor.shape for tensor in entry.outputs}
    if entry.runtime != "identity":
        return None
    if entry.inputs is not None:
        return {tensor.name: tensor.shape for tensor in entry.inputs}
    return {spec.name: spec.shape for spec in IDENTITY_INPUTS}
