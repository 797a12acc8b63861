"""Inference over gRPC: from `ModelInferRequest` to rows, and from answers to `ModelInferResponse`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from tritonclient.grpc import service_pb2 as pb

from mesh.errors import InvalidInput
from mesh.routing.datatypes import datatype_of
from mesh.routing.types import Answer
from serve.oip.answers import answered_by, errors_text, outgoing
from serve.oip.parameters import decode_text
from serve.oip.request import Asked, Extras, InferRequest, add_tensor, build_request
from serve.oip.tensors import Buffer, bytes_array, check_shape, from_bytes, to_bytes

_CONTENTS_OF: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""Which typed field holds a datatype. FP16 has none: it travels raw."""


def read_request(message: pb.ModelInferRequest, raw: Sequence[Buffer], asked: Asked) -> InferRequest:
    """The understood request, whose `raw_input_contents` are `raw`; raises `InvalidInput`, nothing else."""
    tensors = _read_inputs(message, raw)
    extras = _extras(message.parameters) if message.parameters else Extras()
    return build_request(asked, tensors, message.id, _outputs(message), extras)


def _read_inputs(message: pb.ModelInferRequest, raw: Sequence[Buffer]) -> dict[str, np.ndarray]:
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput("raw_input_contents", f"holds {len(raw)} tensors for {len(message.inputs)} inputs")
    tensors: dict[str, np.ndarray] = {}
    for index, tensor in enumerate(message.inputs):
        place = f"inputs[{index}]"
        if "shared_memory_region" in tensor.parameters:
            raise InvalidInput(f"{place}.parameters.shared_memory_region", "shared memory is not supported")
        shape = list(tensor.shape)
        if not raw:
            array = _from_contents(tensor.contents, tensor.datatype, shape, place)
        elif tensor.HasField("contents"):
            raise InvalidInput(f"{place}.contents", "must be empty where raw_input_contents is used")
        else:
            array = from_bytes(raw[index], tensor.datatype, shape, place)
        add_tensor(tensors, tensor.name, array, place)
    return tensors


def _from_contents(
    contents: pb.InferTensorContents, datatype: str, shape: list[int], place: str
) -> np.ndarray:
    count = check_shape(datatype, shape, place)
    field = _CONTENTS_OF.get(datatype)
    if field is None:
        raise InvalidInput(f"{place}.contents", f"cannot hold {datatype}: use raw_input_contents")
    values = getattr(contents, field)
    if len(values) != count:
        held = [f"{other.name} holds {len(value)}" for other, value in contents.ListFields()]
        raise InvalidInput(
            f"{place}.contents",
            f"{datatype} {shape} needs {count} values in {field}; {', '.join(held) or 'there are none'}",
        )
    if datatype == "BYTES":
        return bytes_array(values, shape)
    try:
        return np.array(values, np.dtype(_numpy_name(datatype))).reshape(shape)
    except OverflowError:
        raise InvalidInput(f"{place}.contents", f"holds a number that does not fit {datatype}") from None


def _numpy_name(datatype: str) -> str:
    return datatype.lower().replace("fp", "float")


def _outputs(message: pb.ModelInferRequest) -> Mapping[str, bool] | None:
    wanted: dict[str, bool] = {}
    for index, output in enumerate(message.outputs):
        place = f"outputs[{index}]"
        if output.name in wanted:
            raise InvalidInput(f"{place}.name", f"output '{output.name}' is asked for twice")
        for refused in ("classification", "shared_memory_region"):
            if refused in output.parameters:
                raise InvalidInput(f"{place}.parameters.{refused}", "is not supported")
        wanted[output.name] = True
    return wanted or None


def _extras(parameters: Mapping[str, pb.InferParameter]) -> Extras:
    """The mesh's own parameters; over gRPC everything but numbers and truth values is text."""
    return Extras(
        _json_text(parameters, "mesh_attributes"),
        _json_text(parameters, "mesh_keys"),
        _json_text(parameters, "mesh_row_ids"),
        bool(_typed(parameters, "mesh_partial", ("bool_param",), default=False)),
        int(_typed(parameters, "timeout", ("int64_param", "uint64_param"), default=0)),
        True,
    )


def _json_text(parameters: Mapping[str, pb.InferParameter], name: str) -> object:
    text = _typed(parameters, name, ("string_param",), default=None)
    return None if text is None else decode_text(name, text)


def _typed(
    parameters: Mapping[str, pb.InferParameter], name: str, kinds: tuple[str, ...], *, default: object
) -> Any:
    if name not in parameters:
        return default
    parameter = parameters[name]
    kind = parameter.WhichOneof("parameter_choice")
    if kind not in kinds:
        raise InvalidInput(f"parameters.{name}", f"must be a {kinds[0]}, is {kind or 'empty'}")
    return getattr(parameter, kind)


def write_response(request: InferRequest, answer: Answer) -> tuple[pb.ModelInferResponse, list[Buffer]]:
    """The reply, and the tensors that belong into its `raw_output_contents`: tritonclient reads nothing else."""
    message = pb.ModelInferResponse(model_name=request.endpoint, model_version=request.version, id=request.id)
    parameters = message.parameters
    parameters["mesh_rules"].string_param = answer.rules
    parameters["mesh_answered_by"].string_param = answered_by(answer)
    parameters["mesh_degraded"].bool_param = answer.is_degraded
    if answer.failed:
        parameters["mesh_errors"].string_param = errors_text(answer)
    raw: list[Buffer] = []
    for name, array in outgoing(request, answer).items():
        message.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        raw.append(to_bytes(array))
    return message, raw
