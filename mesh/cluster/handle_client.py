"""The slow, sure way to a model: a packed frame through its Serve handle, to whichever replica Serve picks.

It works where the direct path does not: no replica is known yet, all are gone, or the model sleeps at zero
replicas and has to be woken.
"""

import asyncio
from typing import Final

import grpc
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentResponse

from mesh.bounded import within
from mesh.errors import Unavailable

BY_REFERENCE_BYTES: Final = 512 * 1024
"""Larger payloads go through Ray's object store; smaller ones travel inside the call."""


class HandleClient:
    """Calls one model's deployment. The handle, and its two variants, are made once."""

    def __init__(self, app_name: str, model: str, timeout_s: float) -> None:
        """Needs no running replica. `timeout_s` bounds one call, waking the model included."""
        self._model = model
        self._timeout_s = timeout_s
        handle = serve.get_deployment_handle(model, app_name, _check_exists=False)
        plain = {
            "method_name": "infer",
            "request_serialization": "pickle",
            "response_serialization": "pickle",
        }
        self._by_value = handle.options(_by_reference=False, **plain)
        self._by_reference = handle.options(_by_reference=True, method_name="infer")

    async def __call__(self, payload: bytes) -> bytes:
        """The packed answer to a packed request; `Unavailable` where no replica gives one in time."""
        try:
            return await within(self._timeout_s, self._call(payload))
        except TimeoutError:
            raise Unavailable(self._model, f"no answer through Serve in {self._timeout_s:.0f} s") from None
        except (RayError, RayServeException, grpc.RpcError) as error:
            raise Unavailable(self._model, f"{type(error).__name__}: {error}") from error

    async def _call(self, payload: bytes) -> bytes:
        if len(payload) <= BY_REFERENCE_BYTES:
            try:
                return await _answered(self._by_value.remote(payload))
            except grpc.RpcError as error:
                # A small request can have an answer that is larger than Serve's gRPC messages may be.
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
        return await _answered(self._by_reference.remote(payload))


async def _answered(response: "DeploymentResponse[bytes]") -> bytes:
    try:
        answer: bytes = await response
    except asyncio.CancelledError:
        response.cancel()  # Serve would let it run on, and it holds one of the replica's places
        raise
    return answer
