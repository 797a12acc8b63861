"""The OpenAPI description of inference, which FastAPI cannot see because it does not route it."""

from typing import Any, Final

from serve.oip.inference import Inference

DESCRIPTION: Final = """Open Inference Protocol v2. A model's name is a hosted model or a route table; who answered is in
the reply's parameters `mesh_answered_by`, `mesh_rules` and `mesh_degraded`. Every error is `{"error": "..."}`."""

_EXAMPLE_REQUEST: Final = {
    "id": "event-42",
    "inputs": [
        {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [[0.12, 0.04, 0.98], [0.5, 0.1, 0.2]]}
    ],
    "parameters": {"mesh_attributes": {"rollout": True}, "mesh_keys": ["user-1", "user-2"]},
}
_EXAMPLE_REPLY: Final = {
    "model_name": "default",
    "model_version": "1",
    "id": "event-42",
    "parameters": {
        "mesh_rules": "5f1c9a",
        "mesh_answered_by": '{"model":"rules","version":"1","route":"baseline","role":"primary"}',
        "mesh_degraded": False,
    },
    "outputs": [
        {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.2, 0.9]},
        {"name": "confidence", "datatype": "FP32", "shape": [2], "data": [0.7, 0.8]},
    ],
}
_ERRORS: Final = {
    "400": "The request is wrong; the message names the field",
    "404": "No such model or version",
    "408": "The body stopped coming",
    "411": "It asks for another protocol, and its body comes in chunks",
    "413": "The body is too large",
    "415": "A Content-Encoding that is not gzip or deflate",
    "500": "A model failed on rows that it was given; the message names both",
    "503": "No replica answers, or too much is waiting; see Retry-After",
    "504": "The deadline passed",
}
_WITH_BODY: Final = {"post", "put", "patch", "delete"}
_OF_BODIES: Final = {status: _ERRORS[status] for status in ("408", "411", "413")}
"""What stands before all routes may say of a body, whether the route reads one or not."""
_TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}, "description": "Rows first"},
        "datatype": {"type": "string", "examples": ["FP32", "INT64", "BYTES"]},
        "data": {"type": "array", "items": {}, "description": "Flat or nested, row-major"},
        "parameters": {"type": "object", "description": "`binary_data_size` with the binary extension"},
    },
}
_PARAMETERS: Final = {
    "mesh_attributes": "What rules read: one object for all rows, or a list with one a row",
    "mesh_keys": "Sticky keys: one text for all rows, or a list with one a row",
    "mesh_row_ids": "Names of rows: one text, or a list with one a row",
    "mesh_partial": "true: answer the rows that can be answered; `mesh_errors` says why the others could not",
    "timeout": "Microseconds until the answer is worthless",
    "binary_data_output": "true: all outputs as binary data",
}
_HEADERS: Final = {
    "x-request-timeout-ms": "Milliseconds until the answer is worthless",
    "x-mesh-variant": "`canary` or `primary`, where the endpoint allows it",
    "x-request-id": "Comes back in the reply; made up where it is missing",
    "inference-header-content-length": "Bytes of JSON before the binary tensors; 0 for one raw input",
}


def document(standard: dict[str, Any], inference: Inference) -> dict[str, Any]:
    """FastAPI's document with the inference routes in it; the models of this mesh are named as examples."""
    paths = standard["paths"]
    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        paths[path] = {"post": _infer_operation(path, list(inference.mesh.endpoints))}
    for operations in paths.values():
        for method, operation in operations.items():
            responses = operation.get("responses", {})
            if method in _WITH_BODY:
                for status, about in _OF_BODIES.items():
                    responses.setdefault(status, _refused(about))
            if "422" in responses:  # FastAPI's own, which never leaves this server
                del responses["422"]
    return standard


def _infer_operation(path: str, endpoints: list[str]) -> dict[str, Any]:
    names = [name for name in ("name", "version") if f"{{{name}}}" in path]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if endpoints:
        in_path[0]["schema"] = {"type": "string", "examples": endpoints}
    in_header = [
        {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
        for name, about in _HEADERS.items()
    ]
    return {
        "tags": ["inference"],
        "summary": "Score rows",
        "description": "JSON, or JSON followed by raw tensors (the binary tensor data extension).",
        "parameters": in_path + in_header,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _request_schema(), "example": _EXAMPLE_REQUEST},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {
                "description": "The answer",
                "content": {"application/json": {"example": _EXAMPLE_REPLY}},
            },
            **{status: _refused(about) for status, about in _ERRORS.items()},
        },
    }


def _refused(about: str) -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    return {"description": about, "content": {"application/json": {"schema": error}}}


def _request_schema() -> dict[str, Any]:
    parameters = {name: {"description": about} for name, about in _PARAMETERS.items()}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": _TENSOR},
            "outputs": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                "description": "The outputs wanted; all where absent",
            },
            "parameters": {"type": "object", "properties": parameters},
        },
    }
