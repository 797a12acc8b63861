"""From who answered which rows to columns that rules read, and to the answer that the endpoint gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mesh.routing.combine import Schema, different, schema_of
from mesh.routing.datatypes import DATATYPE_OF, empty_value
from mesh.routing.facts import labels_of, scores_of
from mesh.routing.masks import Column
from mesh.routing.plan import Source
from mesh.routing.types import MISSING, Answer, Origin, Role, RowFailure, Tensors, Voices
from mesh.routing.voices import Chunk


@dataclass(slots=True, eq=False)
class Part:
    """`rows` are answered by `chunk`, on behalf of `source`."""

    source: Source
    chunk: Chunk
    rows: np.ndarray


def column(name: str, parts: Sequence[Part], n: int) -> Column:
    """The column of one of `when.ANSWER_NAMES` for a batch of `n`; rows in no part have no value."""
    if len(parts) == 1 and len(parts[0].rows) == n:
        return _values(name, parts[0])
    found = [(part.rows, values) for part in parts if (values := _values(name, part)) is not None]
    if not found:
        return None
    dtypes = {values.dtype for _, values in found}
    dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(object)
    if dtype.kind in "fiu":
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        merged = np.full(n, np.nan, dtype)
    else:
        merged = np.full(n, MISSING, object)
    for rows, values in found:
        merged[rows] = values
    return merged


def _values(name: str, part: Part) -> np.ndarray | None:
    """The column for the rows of one part; None where the model has no such thing."""
    chunk, rows = part.chunk, part.rows
    if name == "model":
        models = np.empty(len(rows), object)
        models.fill(chunk.model)
        return models
    if name == "confidence":
        index = chunk.index(rows)
        return chunk.confidence if chunk.confidence is None or index is None else chunk.confidence[index]
    facts = chunk.facts
    if facts is None:
        return None
    outputs, _ = chunk.take(rows)
    if name == "score":
        return None if facts.score is None else scores_of(facts.score, outputs)
    return None if facts.label is None else labels_of(facts.label, outputs)


def build_answer(
    n: int,
    parts: Sequence[Part],
    failed: dict[int, RowFailure],
    degraded: np.ndarray,
    rules: str,
    voices: Voices | None,
) -> Answer:
    """The answer for `n` rows; rows in no part must be in `failed`, to which rows that do not fit in are added."""
    if len(parts) == 1 and len(parts[0].rows) == n:
        return _whole(n, parts[0], degraded, rules, voices)
    parts = _alike(parts, failed)
    if failed:
        degraded[list(failed)] = False
    origins: dict[Origin, int] = {}
    origin_of = np.full(n, -1, np.intp)
    for part in parts:
        origin = _origin(part)
        origin_of[part.rows] = origins.setdefault(origin, len(origins))
    outputs, confidence = _merged(n, parts)
    return Answer(outputs, confidence, tuple(origins), origin_of, degraded, failed, rules, voices)


def _whole(n: int, part: Part, degraded: np.ndarray, rules: str, voices: Voices | None) -> Answer:
    outputs, confidence = part.chunk.outputs, part.chunk.confidence
    origins = (_origin(part),)
    return Answer(outputs, confidence, origins, np.zeros(n, np.intp), degraded, {}, rules, voices)


def _origin(part: Part) -> Origin:
    return _origin_of(part.chunk.model, part.chunk.version, part.source.route, part.source.role)


@lru_cache(maxsize=4096)
def _origin_of(model: str, version: str, route: str, role: Role) -> Origin:
    return Origin(model, version, route, role)


def _alike(parts: Sequence[Part], failed: dict[int, RowFailure]) -> Sequence[Part]:
    """The parts whose outputs are like those of the most rows; the rows of the others fail."""
    if len({id(part.chunk) for part in parts}) < 2:
        return parts
    sizes: dict[Schema, int] = {}
    schemas = [schema_of(part.chunk.outputs) for part in parts]
    for part, schema in zip(parts, schemas, strict=True):
        sizes[schema] = sizes.get(schema, 0) + len(part.rows)
    if len(sizes) < 2:
        return parts
    most = max(sizes, key=sizes.__getitem__)  # the first of equals, in the order of the routes
    model = parts[schemas.index(most)].chunk
    for part, schema in zip(parts, schemas, strict=True):
        if schema != most:
            chunk = part.chunk
            reason = different(model.model, model.outputs, chunk.model, chunk.outputs)
            failed.update(dict.fromkeys(part.rows.tolist(), RowFailure(chunk.model, "raised", reason)))
    return [part for part, schema in zip(parts, schemas, strict=True) if schema == most]


def _merged(n: int, parts: Sequence[Part]) -> tuple[Tensors, np.ndarray | None]:
    """Outputs and confidence of all parts, row by row; a row in none holds a filler."""
    if not parts:
        return {}, None
    rows = sum(len(part.rows) for part in parts)
    first = parts[0].chunk
    if rows == n and all(part.chunk is first for part in parts):
        return first.outputs, first.confidence  # one call answered every row, under several routes or roles
    outputs = {name: _empty(n, array, rows < n) for name, array in first.outputs.items()}
    has_confidence = any(part.chunk.confidence is not None for part in parts)
    confidence = np.full(n, np.nan, np.float32) if has_confidence else None
    for part in parts:
        taken, sure = part.chunk.take(part.rows)
        for name, array in taken.items():
            outputs[name][part.rows] = array
        if confidence is not None and sure is not None:
            confidence[part.rows] = sure
    return outputs, confidence


def _empty(n: int, like: np.ndarray, holes: bool) -> np.ndarray:
    shape = (n, *like.shape[1:])
    if not holes:
        return np.empty(shape, like.dtype)
    merged = np.zeros(shape, like.dtype)
    if like.dtype in DATATYPE_OF:
        merged.fill(empty_value(DATATYPE_OF[like.dtype]))
    return merged
