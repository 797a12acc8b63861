"""The methods of gRPC, from the protocol's descriptor and the service that answers them."""

from typing import Any, Final

from tritonclient.grpc import service_pb2 as protocol

from serve.oip.grpc_service import InferenceService
from serve.reference.markdown import made, page, table

_LEAD: Final = """\
The service `inference.GRPCInferenceService` of the Open Inference Protocol v2 as Triton defines it, on ports 9001
(the routers' own) and 9000 (through Ray Serve). Use `tritonclient`, which brings the compiled protocol, or compile
Triton's `grpc_service.proto` in your language. What cannot be answered is an error with a status of gRPC and a
message that names the field: `INVALID_ARGUMENT`, `NOT_FOUND`, `UNAVAILABLE`, `RESOURCE_EXHAUSTED`,
`DEADLINE_EXCEEDED`, `UNAUTHENTICATED`, `INTERNAL`."""
_PARAMETERS: Final = """\
`parameters` of a request hold `mesh_attributes`, `mesh_keys`, `mesh_row_ids` and `mesh_partial`, as over HTTP
([api.md](api.md)). A parameter of gRPC is text, a number or a truth value: what is a list or an object over HTTP is
JSON text here. Replies carry `mesh_answered_by`, `mesh_rules` and `mesh_degraded`."""
_METADATA: Final = (
    ("`x-mesh-variant`", "`canary` or `primary`, where the endpoint allows it"),
    (
        "`x-request-timeout-ms`",
        "time for this request; the call's own deadline counts too, the shorter one holds",
    ),
    ("`authorization`", "`Bearer TOKEN`, where `MESH_ACCESS` asks for one"),
)


def grpc_page() -> str:
    """The page `docs/grpc.md`."""
    service = protocol.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    answered = [one for one in service.methods if not _refused(one.name)]
    lines = made("gRPC", "the protocol and `serve/oip/grpc_service.py`", _LEAD)
    rows = [(f"`{one.name}`", _said(one.name), _fields(one.input_type)) for one in answered]
    lines += ["## Methods", "", *table(("method", "what", "fields of the request"), rows)]
    names = ", ".join(f"`{one.name}`" for one in service.methods if _refused(one.name))
    lines += [f"Answered with `UNIMPLEMENTED`: {names}.", ""]
    lines += ["## Metadata", "", *table(("key", "what"), _METADATA)]
    lines += ["## Parameters", "", _PARAMETERS]
    return page(lines)


def _refused(name: str) -> bool:
    return str(getattr(InferenceService, name).__name__) == "refuse"


def _said(name: str) -> str:
    return (getattr(InferenceService, name).__doc__ or "").strip().split("\n")[0]


def _fields(message: Any) -> str:
    return ", ".join(f"`{one.name}`" for one in message.fields)
