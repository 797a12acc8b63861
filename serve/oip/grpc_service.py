"""The methods of `inference.GRPCInferenceService`, over tritonclient's own messages.

A second definition of the `inference` package cannot be loaded beside tritonclient's, so there is none. The methods
serve `grpc.aio` and Ray Serve's gRPC ingress alike: a refusal sets code and details on the context and returns an
empty message, which both turn into a plain status without a stack trace in their logs.
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeVar

import grpc
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb

from mesh.errors import MeshError
from serve.oip.failures import UNEXPECTED, status_of
from serve.oip.grpc_bytes import join_response, split_request
from serve.oip.grpc_messages import read_request, write_response
from serve.oip.held import Held, Holding
from serve.oip.in_order import in_order
from serve.oip.inference import Inference, told
from serve.oip.metadata import (
    model_config,
    model_metadata,
    repository_index,
    server_metadata,
    statistics_versions,
)
from serve.oip.statistics import as_triton
from serve.oip.tensors import Buffer

_LOG: Final = logging.getLogger(__name__)
_STREAM_WINDOW: Final = 64
"""Requests of one stream that may be under way at once."""

_DETAILS: Final = 4000
"""Characters of a status message: it travels in the trailers, whose size is limited."""

_M = TypeVar("_M", bound=Message)
_FINAL: Final = "triton_enable_empty_final_response"


class CallContext(Protocol):
    """What a call tells and takes: `grpc.aio.ServicerContext`, and Ray Serve's stand-in for it."""

    def set_code(self, code: grpc.StatusCode) -> None:
        """The status of the call."""
        ...

    def set_details(self, details: str) -> None:
        """The message of the status."""
        ...

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Pairs of key and value."""
        ...


def _unsupported(method: str) -> Callable[..., Awaitable[Message]]:
    """A method that this server does not have, and says so."""

    async def refuse(self: "InferenceService", request: Message, grpc_context: CallContext) -> Message:  # noqa: ARG001
        grpc_context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        grpc_context.set_details(f"{method} is not supported by this server")
        return getattr(pb, f"{method}Response")()

    return refuse


async def _admit(inference: Inference, context: CallContext) -> None:
    """Raises `Unauthenticated` where the call names nobody and has to."""
    if inference.admission is not None:
        metadata = dict(context.invocation_metadata() or ())
        await inference.admission.admit_inference(_text(metadata.get("authorization")), _certificate(context))


class InferenceService:
    """One per process. Methods carry the protocol's names, because servers look them up by name.

    Every unary method takes the request and the call's context and returns a response; a refusal is in the context.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._held = Held(inference.limits.held_bytes)

    async def ServerLive(self, request: Message, grpc_context: CallContext) -> Message:  # noqa: ARG002, N802
        """True while the process serves."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Message, grpc_context: CallContext) -> Message:  # noqa: ARG002, N802
        """True when every endpoint can answer."""
        mesh = self._inference.mesh
        return pb.ServerReadyResponse(ready=all(mesh.ready(name) for name in mesh.endpoints))

    async def ModelReady(self, request: pb.ModelReadyRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """True when the model can answer; NOT_FOUND for one that is not there."""

        def ready() -> dict[str, object]:
            name = self._inference.resolve(request.name, request.version)
            self._inference.version_of(name, request.version)
            return {"ready": self._inference.mesh.ready(name)}

        return await self._say(grpc_context, pb.ModelReadyResponse(), ready)

    async def ServerMetadata(self, request: Message, grpc_context: CallContext) -> Message:  # noqa: ARG002, N802
        """Name, version, extensions."""
        return await self._say(
            grpc_context, pb.ServerMetadataResponse(), lambda: server_metadata(self._inference)
        )

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """Inputs and outputs."""
        return await self._say(
            grpc_context,
            pb.ModelMetadataResponse(),
            lambda: model_metadata(self._inference, request.name, request.version),
        )

    async def ModelConfig(self, request: pb.ModelConfigRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """The part of Triton's ModelConfig that its clients read."""
        return await self._say(
            grpc_context,
            pb.ModelConfigResponse(),
            lambda: {"config": model_config(self._inference, request.name, request.version)},
        )

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """Counts and nanoseconds of this process; of all models without a name."""

        def statistics() -> dict[str, object]:
            versions = statistics_versions(self._inference, request.name, request.version)
            return as_triton(self._inference.statistics, versions)

        return await self._say(grpc_context, pb.ModelStatisticsResponse(), statistics)

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """All models and their states."""
        return await self._say(
            grpc_context,
            pb.RepositoryIndexResponse(),
            lambda: {"models": repository_index(self._inference, ready_only=request.ready)},
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, grpc_context: CallContext) -> Message:  # noqa: N802
        """Score rows."""
        with Holding(self._held) as holding:
            try:
                raw, size = request.raw_input_contents, request.ByteSize()
                return _with_tensors(*await self._infer(request, raw, size, holding, grpc_context))
            except MeshError as error:
                _refuse(grpc_context, error)
                return pb.ModelInferResponse()

    async def infer_bytes(self, request: bytes, grpc_context: CallContext) -> bytes:
        """`ModelInfer` from serialized request to serialized response, for a server that can hand over bytes."""
        with Holding(self._held) as holding:
            try:
                message, raw = split_request(request)
                return join_response(*await self._infer(message, raw, len(request), holding, grpc_context))
            except MeshError as error:
                _refuse(grpc_context, error)
                return b""

    async def ModelStreamInfer(  # noqa: N802
        self, request: AsyncIterable[pb.ModelInferRequest], grpc_context: CallContext
    ) -> AsyncGenerator[Message, None]:
        """Score a stream of requests; replies come in their order, and a refused one does not end the stream."""
        holdings: set[Holding] = set()

        async def answer(message: pb.ModelInferRequest) -> tuple[Message, Holding]:
            holding = Holding(self._held)
            holdings.add(holding)
            try:
                raw, size = message.raw_input_contents, message.ByteSize()
                reply = _with_tensors(*await self._infer(message, raw, size, holding, grpc_context))
            except MeshError as error:
                failed = pb.ModelInferResponse(model_name=message.model_name, id=message.id)
                refusal = pb.ModelStreamInferResponse(error_message=str(error), infer_response=failed)
                return refusal, holding
            if _FINAL in message.parameters:
                reply.parameters["triton_final_response"].bool_param = True
            return pb.ModelStreamInferResponse(infer_response=reply), holding

        try:
            async with aclosing(in_order(request, answer, _STREAM_WINDOW)) as replies:
                async for reply, holding in replies:
                    yield reply
                    holding.end()
                    holdings.discard(holding)
        finally:
            for holding in holdings:
                holding.end()

    RepositoryModelLoad = _unsupported("RepositoryModelLoad")
    RepositoryModelUnload = _unsupported("RepositoryModelUnload")
    SystemSharedMemoryStatus = _unsupported("SystemSharedMemoryStatus")
    SystemSharedMemoryRegister = _unsupported("SystemSharedMemoryRegister")
    SystemSharedMemoryUnregister = _unsupported("SystemSharedMemoryUnregister")
    CudaSharedMemoryStatus = _unsupported("CudaSharedMemoryStatus")
    CudaSharedMemoryRegister = _unsupported("CudaSharedMemoryRegister")
    CudaSharedMemoryUnregister = _unsupported("CudaSharedMemoryUnregister")
    TraceSetting = _unsupported("TraceSetting")
    LogSettings = _unsupported("LogSettings")

    async def _say(self, context: CallContext, message: _M, fields: Callable[[], dict[str, object]]) -> _M:
        """`message` filled from plain fields, or left empty with the refusal in the context."""
        try:
            await _admit(self._inference, context)
            ParseDict(fields(), message)
        except MeshError as error:
            _refuse(context, error)
        return message

    async def _infer(
        self,
        message: pb.ModelInferRequest,
        raw: Sequence[Buffer],
        size: int,
        holding: Holding,
        context: CallContext,
    ) -> tuple[pb.ModelInferResponse, list[Buffer]]:
        """The response and its raw tensors; a `MeshError` for every way in which there is none."""
        inference = self._inference
        received, rows, endpoint = time.monotonic(), 0, message.model_name
        request_id, journey = inference.identifiers.next(), None
        try:
            await _admit(inference, context)
            holding.take(endpoint, size)
            metadata = dict(context.invocation_metadata() or ())
            journey = inference.begin(metadata.get("traceparent"))
            asked = inference.ask(
                endpoint,
                message.model_version,
                default_id=request_id,
                timeout_ms=_text(metadata.get("x-request-timeout-ms")),
                variant=_text(metadata.get("x-mesh-variant")),
                time_left_s=_time_left(context),
            )
            # A version beside others is an endpoint of its own, and counted as such
            endpoint = asked.endpoint
            request = read_request(message, raw, asked)
            rows = len(request.batch)
            response = write_response(request, await inference.answer(request, journey))
        except MeshError as error:
            inference.refused(endpoint, "grpc", status_of(error).grpc, rows, received, journey, request_id)
            raise
        except Exception as error:
            # The last resort: a defect must not show its insides to a client.
            journey = inference.late(journey, received)
            _LOG.exception(
                "a gRPC request for '%s' failed unexpectedly", endpoint, extra=told(journey, request_id)
            )
            inference.refused(endpoint, "grpc", UNEXPECTED.grpc, rows, received, journey, request_id)
            raise MeshError("internal error") from error
        inference.answered(endpoint, "grpc", "OK", rows, received, journey, request_id)
        return response


def _with_tensors(message: pb.ModelInferResponse, tensors: Sequence[Buffer]) -> pb.ModelInferResponse:
    message.raw_output_contents.extend([bytes(tensor) for tensor in tensors])
    return message


def _refuse(context: CallContext, error: MeshError) -> None:
    context.set_code(grpc.StatusCode[status_of(error).grpc])
    context.set_details(_told(str(error)[:_DETAILS]))


def _told(text: str) -> str:
    """As much of a message as trailers take: bytes that are not ASCII travel as three characters each."""
    return text if text.isascii() else text.encode(errors="replace")[: _DETAILS // 3].decode(errors="ignore")


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _certificate(context: Any) -> str | None:
    """The common name in the certificate that mutual TLS asked for; Ray Serve's context knows none."""
    auth_context = getattr(context, "auth_context", None)
    names = [] if auth_context is None else list(auth_context().get("x509_common_name", ()))
    return names[0].decode("utf-8", "replace") if names else None


def _time_left(context: Any) -> float | None:
    """Seconds until gRPC's own deadline; Ray Serve's context does not know it."""
    time_remaining = getattr(context, "time_remaining", None)
    return None if time_remaining is None else time_remaining()
