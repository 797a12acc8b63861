"""`hyperstream explain`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, cast

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.text import Text

from mesh.cli import environment
from mesh.cli.attributes import parse_setting
from mesh.errors import InvalidInput, NotFound
from mesh.registry.configured import on_this_machine
from mesh.routing import explain as routing
from mesh.routing.columns import columns
from mesh.routing.datatypes import DATATYPE_OF, NUMPY_OF
from mesh.routing.facts import ModelFacts
from mesh.routing.table import RouteTable
from mesh.routing.types import Answer, Batch, CallResult, Scored, Tensors, TensorSpec, Variant
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.spec import MeshConfig, load_mesh

Call = Callable[[str], CallResult]
"""What a model says of the row."""


def explain(
    features: Annotated[
        str | None,
        typer.Argument(help="One row as JSON, [[1,2,3]]: the models are opened here and score it."),
    ] = None,
    *,
    confidence: Annotated[
        list[str] | None, typer.Option(help="Without a row: what a model says, rules=0.9 [default: 1].")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="An attribute that rules read, name=value.")
    ] = None,
    row_id: Annotated[
        str, typer.Option("--id", help="The row's id: its sticky key, unless there is another.")
    ] = "row",
    key: Annotated[str | None, typer.Option(help="An explicit sticky key.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The endpoint [default: the default one]")] = None,
    variant: Annotated[
        str | None, typer.Option(help="canary or primary, as x-mesh-variant would ask.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration's folder [default: config]", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Say which routes a row takes, and why: what each condition read, who was asked, who answers.

    Needs no running mesh.

    For example:

    - `hyperstream explain --confidence rules=0.7`
    - `hyperstream explain --confidence rules=0.3 --set rollout=true --id event-42`
    - `hyperstream explain '[[0.1, 0.2, 0.3]]' --endpoint identity`
    """
    settings = environment.settings()
    folder = config or Path(settings.config_dir)
    mesh = load_mesh(folder, settings)
    name = endpoint or mesh.default_endpoint
    if name not in mesh.tables:
        if name in mesh.models:
            raise NotFound(f"'{name}' is a model, not a table of routes: it scores every row itself")
        raise NotFound(f"there is no endpoint '{name}'; there are: {', '.join(mesh.endpoints)}")
    if variant not in (None, "canary", "primary"):
        raise InvalidInput("--variant", f"'{variant}' is neither canary nor primary")
    attributes = {one.name: one.value for one in map(parse_setting, set_ or [])}
    table = mesh.tables[name]
    read = columns([attributes], table.attributes_read)
    row = Batch({}, [row_id], None if key is None else [key], read)
    call = _assumed(_confidences(confidence or [])) if features is None else _scored(mesh, folder, features)
    found = explain_row(table, mesh.facts, row, call, cast("Variant | None", variant))
    Console(soft_wrap=True, highlight=False).print(
        page(f"endpoint {name}, id {row_id}" + (f", key {key}" if key else ""), found)
    )


def explain_row(
    table: RouteTable, facts: Mapping[str, ModelFacts], row: Batch, call: Call, variant: Variant | None
) -> routing.Explanation:
    """The way of `row`, a batch of one, with `call` standing for the models."""
    steps = routing.explain(table, facts, row, variant)
    try:
        step = next(steps)
        while True:
            step = steps.send([call(one.model) for one in step.calls])
    except StopIteration as end:
        found: routing.Explanation = end.value
        return found


def page(title: str, found: routing.Explanation) -> Text:
    """An explanation: two lines a route, then what came of it."""
    page = Text(f"{title}\n")
    width = max(len(route.route) for route in found.routes)
    for route in found.routes:
        page.append(f"  {route.route:{width}}  ", "bold green" if route.applied else "dim")
        page.append(f"when {route.when}\n")
        page.append(f"  {'':{width}}  {route.reason}\n", "dim")
    page.append(f"asked: {', '.join(found.called) or 'nobody'}\n")
    page.append(f"answer: {said(found.result.answer)}", "bold")
    shadows = [f"{one.model} ({one.route})" for one in found.result.shadows]
    return page.append(f"\ncompared with: {', '.join(shadows)}") if shadows else page


def said(answer: Answer) -> str:
    """`rules · baseline · primary, confidence 0.30`, or why there is no answer."""
    failure = answer.failed.get(0)
    if failure is not None:
        return f"none: {failure.reason}"
    origin = answer.origins[int(answer.origin_of[0])]
    sure = "" if answer.confidence is None else f", confidence {float(answer.confidence[0]):.4g}"
    degraded = ", degraded" if answer.degraded[0] else ""
    return f"{origin.model} · {origin.route} · {origin.role}{sure}{degraded}"


def _confidences(texts: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise InvalidInput("--confidence", f"'{text}' is not model=number") from None
    return found


def _assumed(confidences: Mapping[str, float]) -> Call:
    """Models that say nothing but how sure they are."""

    def call(model: str) -> CallResult:
        sure = np.array([confidences.get(model, 1.0)], np.float32)
        return Scored({"assumed": np.zeros((1, 1), np.float32)}, sure, "assumed")

    return call


def _scored(mesh: MeshConfig, folder: Path, features: str) -> Call:
    """The real models, opened in this process when they are asked."""
    try:
        given = msgspec.json.decode(features)
    except msgspec.DecodeError as error:
        raise InvalidInput("FEATURES", f"is not JSON: {error}; write one row as '[[1, 2, 3]]'") from None

    def call(model: str) -> CallResult:
        artifact = on_this_machine(mesh.models[model].artifact(), folder)
        runtime = open_runtime(artifact)
        try:
            return Scorer(runtime, artifact).score(_tensors(runtime.signature.inputs, given))
        finally:
            runtime.close()

    return call


def _tensors(inputs: tuple[TensorSpec, ...], given: object) -> Tensors:
    """The row as one model's inputs: `[[...]]` for its first one, or `{name: [[...]]}`."""
    named = given if isinstance(given, dict) else {inputs[0].name: given}
    kinds = {spec.name: NUMPY_OF[spec.datatype] for spec in inputs}
    try:
        tensors = {name: _array(rows, kinds.get(name, np.dtype(np.float32))) for name, rows in named.items()}
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput("FEATURES", f"is no row of numbers: {error}") from None
    if any(array.ndim < 2 or len(array) != 1 for array in tensors.values()):
        raise InvalidInput("FEATURES", "must be one row in a list, '[[1, 2, 3]]'")
    return tensors


def _array(rows: object, dtype: np.dtype) -> np.ndarray:
    """As requests to the mesh are read: text as UTF-8, and no number becomes another."""
    array = np.array(rows, dtype)
    if dtype == np.dtype(object):
        array.reshape(-1)[:] = [text.encode() if isinstance(text, str) else text for text in array.flat]
    elif dtype.kind in "iub" and not np.array_equal(array, np.array(rows)):
        raise ValueError(f"{rows} are no {DATATYPE_OF[dtype]}")
    return array
