"""Inference requests: from the body of an HTTP request to rows for the engine. gRPC joins at `build_request`.

The plain case, one small JSON tensor without parameters, is what the order of things here is made for.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from mesh.errors import InvalidInput
from mesh.routing.signature import first_mismatch
from mesh.routing.types import Batch, Signature, Variant
from serve.oip.parameters import (
    attribute_columns,
    deadline_of,
    decode_parameter,
    no_attributes,
    row_ids,
    texts_per_row,
    variant_of,
)
from serve.oip.raw import raw_input
from serve.oip.schema import InferenceRequest, InputTensor, RequestedOutput, RequestParameters, decode_request
from serve.oip.tensors import Buffer, from_bytes, from_json

CONFIDENCE: Final = "confidence"


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What is known of a request before its body is read: the endpoint, what it takes, and what the headers say.

    `received` is when it came and `due` when the caller stops waiting (`time.monotonic`); `default_id` names rows that
    have no id of their own.
    """

    endpoint: str
    version: str
    signature: Signature | None
    attributes_read: frozenset[str]
    received: float
    max_rows: int
    default_id: str
    timeout_ms: str | None = None
    variant: str | None = None
    due: float | None = None


class InferRequest(msgspec.Struct, frozen=True, gc=False):
    """One understood request. `outputs` maps the wanted outputs to whether each is wanted binary; None is all of them.

    `binary` is what goes for an output that does not say. `id` is the client's own, empty where it gave none.
    """

    endpoint: str
    version: str
    batch: Batch
    id: str
    outputs: Mapping[str, bool] | None
    binary: bool
    partial: bool
    deadline: float | None
    variant: Variant | None


class Extras(msgspec.Struct, frozen=True, gc=False):
    """The mesh's own parameters, decoded but not yet judged. None is absent."""

    attributes: object = None
    keys: object = None
    row_ids: object = None
    partial: bool = False
    timeout_us: int = 0
    binary: bool = False


_NO_EXTRAS: Final = Extras()
_PLACES: Final = tuple(f"inputs[{index}]" for index in range(8))


def parse_infer(body: bytes | bytearray, header_length: int | None, asked: Asked) -> InferRequest:
    """The request in `body`.

    `header_length` is the header `Inference-Header-Content-Length`: None for plain JSON, else the length of the JSON
    before the binary tensors, 0 for a raw single input. Raises `InvalidInput`, nothing else.
    """
    if header_length == 0:
        name, array = raw_input(body, asked.endpoint, asked.signature)
        return build_request(asked, {name: array}, "", None, Extras(binary=True))
    if header_length is None:
        wire = decode_request(body)
        tail: Buffer = b""
    else:
        if header_length > len(body):
            raise InvalidInput(
                "inference-header-content-length", f"is {header_length}, the body has only {len(body)} bytes"
            )
        view = memoryview(body)
        wire, tail = decode_request(view[:header_length]), view[header_length:]
    tensors = _read_inputs(wire.inputs, tail)
    extras = _NO_EXTRAS if wire.parameters is None else _extras(wire.parameters)
    return build_request(asked, tensors, wire.id, _requested(wire, binary=extras.binary), extras)


def build_request(
    asked: Asked,
    tensors: Mapping[str, np.ndarray],
    request_id: str,
    outputs: Mapping[str, bool] | None,
    extras: Extras = _NO_EXTRAS,
) -> InferRequest:
    """Judge decoded tensors and parameters against the endpoint, and make rows of them."""
    rows = _check_inputs(asked, tensors)
    if outputs is not None and asked.signature is not None:
        _check_outputs(asked.signature, outputs)
    if extras is _NO_EXTRAS:
        keys, ids = None, row_ids(request_id or asked.default_id, rows)
        attributes = no_attributes(asked.attributes_read, rows)
    else:
        keys = None if extras.keys is None else texts_per_row("mesh_keys", extras.keys, rows, numbered=False)
        if extras.row_ids is None:
            ids = row_ids(request_id or asked.default_id, rows)
        else:
            ids = texts_per_row("mesh_row_ids", extras.row_ids, rows, numbered=True)
        if extras.attributes is None:
            attributes = no_attributes(asked.attributes_read, rows)
        else:
            attributes = attribute_columns(extras.attributes, asked.attributes_read, rows)
    return InferRequest(
        asked.endpoint,
        asked.version,
        Batch(tensors, ids, keys, attributes),
        request_id,
        outputs,
        extras.binary,
        extras.partial,
        deadline_of(asked.received, extras.timeout_us, asked.timeout_ms, asked.due),
        variant_of(asked.variant),
    )


def add_tensor(tensors: dict[str, np.ndarray], name: str, array: np.ndarray, place: str) -> None:
    """Put an input among the others; refuses a second one of the same name."""
    if name in tensors:
        raise InvalidInput(f"{place}.name", f"input '{name}' is given twice")
    tensors[name] = array


def _read_inputs(inputs: Sequence[InputTensor], tail: Buffer) -> dict[str, np.ndarray]:
    """Every input, from its JSON or from its stretch of the binary tail, which they must use up."""
    tensors: dict[str, np.ndarray] = {}
    at = 0
    for index, tensor in enumerate(inputs):
        place = _PLACES[index] if index < len(_PLACES) else f"inputs[{index}]"
        parameters = tensor.parameters
        if parameters is None or parameters.binary_data_size is None:
            if parameters is not None and parameters.shared_memory_region is not None:
                raise InvalidInput(
                    f"{place}.parameters.shared_memory_region", "shared memory is not supported"
                )
            if len(memoryview(tensor.data)) == 0:
                raise InvalidInput(f"{place}.data", f"is missing for input '{tensor.name}'")
            array = from_json(tensor.data, tensor.datatype, tensor.shape, place)
        else:
            if len(memoryview(tensor.data)) > 0:
                raise InvalidInput(
                    f"{place}.data", "is given beside parameters.binary_data_size: give one of them"
                )
            at, start = at + parameters.binary_data_size, at
            if not start <= at <= len(tail):
                raise InvalidInput(
                    f"{place}.parameters.binary_data_size",
                    f"is {parameters.binary_data_size}; {len(tail) - start} bytes of binary data are left",
                )
            array = from_bytes(tail[start:at], tensor.datatype, tensor.shape, place)
        add_tensor(tensors, tensor.name, array, place)
    if at != len(tail):
        raise InvalidInput("body", f"has {len(tail) - at} bytes of binary data that no input claims")
    return tensors


def _check_inputs(asked: Asked, tensors: Mapping[str, np.ndarray]) -> int:
    """The number of rows, once every input is known to fit."""
    if not tensors:
        raise InvalidInput("inputs", "is empty: give at least one input")
    if asked.signature is not None:
        mismatch = first_mismatch(asked.signature, tensors)
        if mismatch is not None:
            raise InvalidInput(
                f"input '{mismatch.input}'", f"expected {mismatch.expected}, got {mismatch.got}"
            )
    elif len({len(array) for array in tensors.values()}) > 1:
        rows = {name: len(array) for name, array in tensors.items()}
        raise InvalidInput("inputs", f"differ in their rows: {rows}")
    count = len(next(iter(tensors.values())))
    if count > asked.max_rows:
        raise InvalidInput("inputs", f"hold {count} rows, the limit of a request is {asked.max_rows}")
    return count


def _check_outputs(signature: Signature, outputs: Mapping[str, bool]) -> None:
    known = [spec.name for spec in signature.outputs]
    for name in outputs:
        if name not in known and name != CONFIDENCE:
            raise InvalidInput("outputs", f"there is no output '{name}'; there are: {', '.join(known)}")


def _requested(wire: InferenceRequest, *, binary: bool) -> dict[str, bool] | None:
    return None if wire.outputs is None else requested_outputs(wire.outputs, binary=binary)


def requested_outputs(outputs: Sequence[RequestedOutput], *, binary: bool) -> dict[str, bool] | None:
    """Wanted outputs and whether each is wanted binary; none listed is all of them."""
    wanted: dict[str, bool] = {}
    for index, output in enumerate(outputs):
        if output.name in wanted:
            raise InvalidInput(f"outputs[{index}].name", f"output '{output.name}' is asked for twice")
        parameters = output.parameters
        if parameters is None:
            wanted[output.name] = binary
            continue
        if parameters.classification:
            raise InvalidInput(
                f"outputs[{index}].parameters.classification", "classification is not supported"
            )
        if parameters.shared_memory_region is not None:
            raise InvalidInput(
                f"outputs[{index}].parameters.shared_memory_region", "shared memory is not supported"
            )
        wanted[output.name] = binary if parameters.binary_data is None else parameters.binary_data
    return wanted or None


def _extras(parameters: RequestParameters) -> Extras:
    return Extras(
        _given("mesh_attributes", parameters.mesh_attributes),
        _given("mesh_keys", parameters.mesh_keys),
        _given("mesh_row_ids", parameters.mesh_row_ids),
        parameters.mesh_partial,
        parameters.timeout,
        parameters.binary_data_output,
    )


def _given(name: str, raw: msgspec.Raw) -> object:
    return decode_parameter(name, raw) if memoryview(raw) else None
