"""Everything over HTTP but inference: health, metadata, statistics, documentation. Built on FastAPI, never hot."""

from collections.abc import Sequence
from typing import Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mesh.errors import MeshError
from serve.api.errors import BAD, ApiError, Responses, missing
from serve.http.body import read_body
from serve.http.errors import HttpRefusal, error_body, refusal_of
from serve.http.openapi import DESCRIPTION, document
from serve.oip.inference import Inference
from serve.oip.metadata import (
    Json,
    model_config,
    model_metadata,
    repository_index,
    server_metadata,
    statistics_versions,
)
from serve.oip.statistics import as_triton

_UNSUPPORTED: Final = (
    ("/v2/repository/models/{name}/load", "POST"),
    ("/v2/repository/models/{name}/unload", "POST"),
    ("/v2/models/{name}/trace/setting", "GET"),
    ("/v2/models/{name}/trace/setting", "POST"),
    ("/v2/models/{name}/generate", "POST"),
    ("/v2/models/{name}/generate_stream", "POST"),
    ("/v2/trace/setting", "GET"),
    ("/v2/trace/setting", "POST"),
    ("/v2/logging", "GET"),
    ("/v2/logging", "POST"),
    ("/v2/systemsharedmemory/{rest:path}", "GET"),
    ("/v2/systemsharedmemory/{rest:path}", "POST"),
    ("/v2/cudasharedmemory/{rest:path}", "GET"),
    ("/v2/cudasharedmemory/{rest:path}", "POST"),
)


def build_api(inference: Inference, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """The FastAPI application with further `routers` in it; every error it gives is `{"error": "..."}`."""
    api = FastAPI(
        title=inference.server.name,
        version=inference.server.version,
        description=DESCRIPTION,
        redirect_slashes=False,
    )
    _answer_errors(api)
    _add_server_routes(api, inference)
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        _add_model_routes(api, inference, prefix)
    for router in routers:
        api.include_router(router)
    for path, method in _UNSUPPORTED:
        api.add_api_route(path, _unsupported, methods=[method], include_in_schema=False)
    standard = api.openapi
    api.openapi = lambda: document(standard(), inference)  # type: ignore[method-assign]
    return api


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(error_body(message), status, headers, media_type="application/json")


async def _unsupported(request: Request) -> Response:
    return _error(501, f"{request.url.path} is not supported by this server")


def _answer_errors(api: FastAPI) -> None:
    """Tritonclient shows `error` and garbles FastAPI's `detail`."""

    @api.exception_handler(MeshError)
    async def _mesh_error(_: Request, error: MeshError) -> Response:
        refusal = refusal_of(error)
        return _error(refusal.status, refusal.message, refusal.headers)

    @api.exception_handler(HttpRefusal)
    async def _refusal(_: Request, refusal: HttpRefusal) -> Response:
        return _error(refusal.status, refusal.message, refusal.headers)

    @api.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return _error(error.status_code, f"{request.method} {request.url.path}: {error.detail}", headers)

    @api.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _error(400, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")

    @api.exception_handler(Exception)
    async def _unexpected(request: Request, _: Exception) -> Response:
        return _error(500, f"internal error at {request.url.path}")


_NOT_READY: Final[Responses] = {400: {"model": ApiError, "description": "Not ready; the message says which"}}


def _add_server_routes(api: FastAPI, inference: Inference) -> None:
    mesh = inference.mesh

    @api.get("/", tags=["server"], summary="Addresses")
    async def index() -> Json:
        """Where things are, and which models there are."""
        return {
            "name": inference.server.name,
            "version": inference.server.version,
            "documentation": "/docs",
            "health": "/healthz",
            "metadata": "/v2",
            "models": {name: f"/v2/models/{name}/infer" for name in mesh.endpoints},
        }

    @api.get("/healthz", tags=["health"], summary="Is the process alive, and which models can answer?")
    async def healthz() -> Json:
        """Always 200 while the process serves: a model that is starting is no reason to restart the Router."""
        return {"status": "ok", "ready": {name: mesh.ready(name) for name in mesh.endpoints}}

    @api.get("/v2", tags=["server"], summary="Server metadata")
    async def metadata() -> Json:
        """Name, version and the protocol extensions that are spoken."""
        return server_metadata(inference)

    @api.get("/v2/health/live", tags=["health"], summary="Is the server alive?")
    async def live() -> Json:
        """200 while the process serves."""
        return {"live": True}

    @api.get("/v2/health/ready", tags=["health"], summary="Can every model answer?", responses=_NOT_READY)
    async def ready() -> Response:
        """200 when every endpoint is ready, else 400, as Triton has it."""
        waiting = [name for name in mesh.endpoints if not mesh.ready(name)]
        return _error(400, f"not ready: {', '.join(waiting)}") if waiting else _json({"ready": True})

    @api.get("/v2/models/stats", tags=["statistics"], summary="Statistics of all models")
    async def all_statistics() -> Json:
        """Counts and nanoseconds of this process, in Triton's shape."""
        return as_triton(inference.statistics, statistics_versions(inference))

    @api.post("/v2/repository/index", tags=["server"], summary="All models and their states", responses=BAD)
    async def repository(request: Request) -> Response:
        """The body may be empty, or `{"ready": true}` for ready models only."""
        announced = request.headers.get("content-length")
        body = await read_body(request.receive, announced.encode() if announced else None, inference.limits)
        try:
            asked = orjson.loads(body) if body.strip() else {}
        except orjson.JSONDecodeError as error:
            return _error(400, f"body: not valid JSON: {error}")
        if not isinstance(asked, dict) or not isinstance(asked.get("ready", False), bool):
            return _error(400, "ready: must be true or false")
        return _json(repository_index(inference, ready_only=asked.get("ready", False)))


_NAMED: Final[Responses] = {**BAD, **missing("model or version")}


def _add_model_routes(api: FastAPI, inference: Inference, prefix: str) -> None:
    """Routes of one model, with or without a version in the address; a version is None in those without."""

    @api.get(prefix, tags=["models"], summary="Model metadata", responses=_NAMED)
    async def metadata(name: str, version: str = "") -> Json:
        """Inputs and outputs; -1 stands for any size."""
        return model_metadata(inference, name, version)

    @api.get(
        f"{prefix}/ready",
        tags=["models"],
        summary="Can this model answer?",
        responses={**_NAMED, **_NOT_READY},
    )
    async def ready(name: str, version: str = "") -> Response:
        """200 when every model behind the name has a replica, else 400, as Triton has it."""
        name = inference.resolve(name, version)
        inference.version_of(name, version)
        return _json({"ready": True}) if inference.mesh.ready(name) else _error(400, f"'{name}' is not ready")

    @api.get(
        f"{prefix}/config",
        tags=["models"],
        summary="Model configuration, as Triton states it",
        responses=_NAMED,
    )
    async def config(name: str, version: str = "") -> Json:
        """The part of Triton's ModelConfig that its clients read."""
        return model_config(inference, name, version)

    @api.get(f"{prefix}/stats", tags=["statistics"], summary="Statistics of one model", responses=_NAMED)
    async def statistics(name: str, version: str = "") -> Json:
        """Counts and nanoseconds of this process, in Triton's shape."""
        return as_triton(inference.statistics, statistics_versions(inference, name, version))
