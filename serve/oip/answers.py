"""Parts of a reply that HTTP and gRPC share: which tensors go out, and the parameters that say who answered."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import orjson

from mesh.errors import InvalidInput
from mesh.routing.datatypes import datatype_of, empty_value
from mesh.routing.types import Answer, Origin
from serve.oip.request import CONFIDENCE, InferRequest

_MAX_TEXTS: Final = 4096
_texts: dict[Origin, str] = {}


def outgoing(request: InferRequest, answer: Answer) -> Mapping[str, np.ndarray]:
    """The tensors that the client gets, in the model's order, `confidence` last; failed rows hold their filler.

    Raises `InvalidInput` for a wanted output that the answer does not have.
    """
    tensors = answer.outputs
    if answer.confidence is not None:
        tensors = {**tensors, CONFIDENCE: answer.confidence}
    if answer.failed:
        tensors = {name: _filled(array, answer.failed) for name, array in tensors.items()}
    if request.outputs is None:
        return tensors
    for name in request.outputs:
        if name not in tensors:
            raise InvalidInput("outputs", f"there is no output '{name}'; there are: {', '.join(tensors)}")
    return {name: tensors[name] for name in request.outputs}


def _filled(array: np.ndarray, failed: Mapping[int, object]) -> np.ndarray:
    """A copy whose failed rows hold NaN, zero, False or empty bytes."""
    filled = array.copy()
    filled[list(failed)] = empty_value(datatype_of(array))
    return filled


def single_origin(answer: Answer) -> Origin | None:
    """Who answered all rows, or None where rows differ."""
    origin_of = answer.origin_of
    first: int = origin_of.item(0)
    if first < 0 or (len(origin_of) > 1 and not (origin_of == first).all()):
        return None
    return answer.origins[first]


def answered_by(answer: Answer) -> str:
    """`mesh_answered_by`: JSON text, one object, or a list with one a row (null for a failed one) where rows differ."""
    origin = single_origin(answer)
    if origin is not None:
        return origin_text(origin)
    texts = [origin_text(origin) for origin in answer.origins]
    texts.append("null")  # a failed row's index is -1
    return f"[{','.join([texts[index] for index in answer.origin_of.tolist()])}]"


def origin_text(origin: Origin) -> str:
    """The origin as JSON text; remembered, because a mesh has few."""
    text = _texts.get(origin)
    if text is None:
        if len(_texts) >= _MAX_TEXTS:
            _texts.clear()
        fields = {
            "model": origin.model,
            "version": origin.version,
            "route": origin.route,
            "role": origin.role,
        }
        text = _texts[origin] = orjson.dumps(fields).decode()
    return text


def errors_text(answer: Answer) -> str:
    """`mesh_errors`: JSON text, row → model and reason."""
    return orjson.dumps(
        {
            str(row): f"model '{failure.model}' {failure.kind}: {failure.reason}"
            for row, failure in answer.failed.items()
        }
    ).decode()
