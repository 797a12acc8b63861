"""Answers on their way out over HTTP: one JSON text, with the tensors in it or as raw bytes behind it.

JSON has no NaN and no infinity: they are written as `null`, which tritonclient reads back as NaN. A client that must
tell them apart asks for binary outputs, which carry every bit.
"""

from typing import Final, NamedTuple

import numpy as np
import orjson

from mesh.errors import InvalidInput
from mesh.routing.datatypes import datatype_of
from mesh.routing.types import Answer, Origin
from serve.oip.answers import answered_by, errors_text, origin_text, outgoing, single_origin
from serve.oip.request import InferRequest
from serve.oip.tensors import Buffer, to_bytes

_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY
_MAX_KNOWN: Final = 4096


class Reply(NamedTuple):
    """A body in pieces, and the length of its JSON where binary tensors follow (else None)."""

    pieces: list[Buffer]
    json_length: int | None


class ReplyWriter:
    """Writes answers. Remembers what repeats: the opening of a reply, and each output's description."""

    def __init__(self) -> None:
        self._openings: dict[tuple[str, str, Origin, str, bool], bytes] = {}
        self._heads: dict[tuple[str, int, tuple[int, ...]], bytes] = {}

    def write(self, request: InferRequest, answer: Answer) -> Reply:
        """The reply to `request`; `InvalidInput` where it wants what the answer cannot give."""
        json = [self._opening(request, answer)]
        if request.id:
            json.append(b'"id":%s,' % orjson.dumps(request.id))
        json.append(b'"outputs":[')
        tail: list[Buffer] = []
        wanted = request.outputs
        comma = False
        for name, array in outgoing(request, answer).items():
            if comma:
                json.append(b",")
            comma = True
            json.append(self._head(name, array))
            if request.binary if wanted is None else wanted[name]:
                data = to_bytes(array)
                tail.append(data)
                json.append(b'"parameters":{"binary_data_size":%d}}' % len(data))
            else:
                json.append(b'"data":')
                json.append(_json_values(name, array))
                json.append(b"}")
        json.append(b"]}")
        text = b"".join(json)
        return Reply([text, *tail], len(text)) if tail else Reply([text], None)

    def _opening(self, request: InferRequest, answer: Answer) -> bytes:
        """All that stands before the outputs but the id, up to a comma."""
        origin = single_origin(answer)
        degraded = answer.is_degraded
        if origin is None or answer.failed:
            errors = errors_text(answer) if answer.failed else None
            return _opening(request, answered_by(answer), answer.rules, degraded=degraded, errors=errors)
        key = (request.endpoint, request.version, origin, answer.rules, degraded)
        opening = self._openings.get(key)
        if opening is None:
            if len(self._openings) >= _MAX_KNOWN:
                self._openings.clear()
            opening = _opening(request, origin_text(origin), answer.rules, degraded=degraded, errors=None)
            self._openings[key] = opening
        return opening

    def _head(self, name: str, array: np.ndarray) -> bytes:
        """One output's description, up to the comma before its data."""
        key = (name, array.dtype.num, array.shape)
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _MAX_KNOWN:
                self._heads.clear()
            about = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
            head = self._heads[key] = orjson.dumps(about)[:-1] + b","
        return head


def _opening(
    request: InferRequest, answered: str, rules: str, *, degraded: bool, errors: str | None
) -> bytes:
    parameters = {"mesh_rules": rules, "mesh_answered_by": answered, "mesh_degraded": degraded}
    if errors is not None:
        parameters["mesh_errors"] = errors
    about = {"model_name": request.endpoint, "model_version": request.version, "parameters": parameters}
    return orjson.dumps(about)[:-1] + b","


def _json_values(name: str, array: np.ndarray) -> bytes:
    """The elements in row-major order, as a flat JSON array."""
    flat = array.ravel()
    if array.dtype != object:
        return orjson.dumps(flat, option=_NUMPY)
    try:
        return orjson.dumps([text.decode() for text in flat.tolist()])
    except UnicodeDecodeError:
        raise InvalidInput(
            "outputs", f"output '{name}' holds bytes that are not UTF-8 text: ask for it with binary_data"
        ) from None
