"""The JSON of an inference request, as typed structs. Unknown keys are ignored, as the protocol's extensions demand.

Numbers, texts and truth values never convert into each other. What cannot be judged without the tensor's datatype or
the endpoint's rules stays raw and is decoded later.
"""

import re
from typing import Final, TypeVar

import msgspec

from mesh.errors import InvalidInput

_T = TypeVar("_T")


class TensorParameters(msgspec.Struct, gc=False):
    """The parameters of one input or requested output that the mesh knows."""

    binary_data_size: int | None = None
    binary_data: bool | None = None
    classification: int = 0
    shared_memory_region: str | None = None


class InputTensor(msgspec.Struct, gc=False):
    """One input; its data is decoded once its datatype and shape are known to make sense."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: TensorParameters | None = None


class RequestedOutput(msgspec.Struct, gc=False):
    """One output that the client wants."""

    name: str
    parameters: TensorParameters | None = None


class RequestParameters(msgspec.Struct, gc=False):
    """The parameters of a request that the mesh knows. `timeout` is in microseconds, 0 for none, as in Triton."""

    mesh_attributes: msgspec.Raw = msgspec.Raw()
    mesh_keys: msgspec.Raw = msgspec.Raw()
    mesh_row_ids: msgspec.Raw = msgspec.Raw()
    mesh_partial: bool = False
    timeout: int = 0
    binary_data_output: bool = False


class InferenceRequest(msgspec.Struct, gc=False):
    """The whole request."""

    inputs: list[InputTensor]
    id: str = ""
    parameters: RequestParameters | None = None
    outputs: list[RequestedOutput] | None = None


_request: Final = msgspec.json.Decoder(InferenceRequest)
DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that decoding can raise."""

_PLACE: Final = re.compile(r"^(?P<reason>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_ABSENT: Final = re.compile(r"^Object missing required field `(?P<name>.*)`$")
_MALFORMED: Final = "JSON is malformed: "


def decode_request(body: bytes | bytearray | memoryview) -> InferenceRequest:
    """The request in `body`; `InvalidInput` names the field that is wrong, or `body` where it is not JSON."""
    return decode(_request, body, "body")


def decode(
    decoder: msgspec.json.Decoder[_T], data: msgspec.Raw | bytes | bytearray | memoryview | str, field: str
) -> _T:
    """Decode; whatever is wrong becomes `InvalidInput` with the place inside `field` (`body` stands for the whole)."""
    try:
        return decoder.decode(data)
    except DECODE_ERRORS as error:
        raise refusal(error, field) from None


def refusal(error: Exception, field: str) -> InvalidInput:
    """What one of `DECODE_ERRORS` says of `field`."""
    if isinstance(error, msgspec.ValidationError):
        return _invalid(field, str(error))
    if isinstance(error, RecursionError):
        return InvalidInput(field, "nested too deeply")
    return InvalidInput(field, f"not valid JSON: {str(error).removeprefix(_MALFORMED)}")


def _invalid(field: str, message: str) -> InvalidInput:
    """From msgspec's ``Expected `int`, got `str` - at `$.inputs[0].shape[1]` `` to field and reason."""
    place = _PLACE.match(message)
    path, reason = (place["path"], place["reason"]) if place else ("", message)
    absent = _ABSENT.match(reason)
    if absent:
        path, reason = f"{path}.{absent['name']}".lstrip("."), "is missing"
    if field != "body":
        path = f"{field}{'' if path.startswith('[') or not path else '.'}{path}"
    return InvalidInput(path or field, reason.replace("`", "'"))
