"""A model on a Triton server elsewhere, over gRPC."""

from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from mesh.errors import ArtifactError, Overloaded, Unavailable
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import check_options, path_of, positive_number, refuse_cuda

_PATH = "an address such as 'grpc://host:8001/model' or 'grpc://host:8001/model:2'"
_NO_LIMIT = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
_AWAY = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED")


class TritonRuntime:
    """A remote Triton model. Option: `timeout_s` (10), for each call.

    Batches above the server's `max_batch_size` go in parts. A server that is away or too slow raises
    `Unavailable`, one that sheds load `Overloaded`: neither is a row's fault.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact, "timeout_s")
        refuse_cuda(artifact)
        address, self._model, self._version = _address(artifact)
        self._name = artifact.name
        self._timeout = positive_number(artifact, "timeout_s", 10.0)
        self._address = address
        self._client = _connected(address)
        try:
            metadata = self._client.get_model_metadata(
                self._model, self._version, client_timeout=self._timeout
            )
            config = self._client.get_model_config(
                self._model, self._version, client_timeout=self._timeout
            ).config
        except InferenceServerException as error:
            self._client.close()
            raise ArtifactError(f"model '{self._name}': {artifact.path}: {error.message()}") from error
        stated = Signature(tuple(map(_spec, metadata.inputs)), tuple(map(_spec, metadata.outputs)))
        try:
            self._signature = agreed(artifact, stated)
        except ArtifactError:
            self._client.close()
            raise
        self._most_rows = config.max_batch_size or None
        self._outputs = [triton.InferRequestedOutput(spec.name) for spec in self._signature.outputs]

    @property
    def signature(self) -> Signature:
        """The server's metadata."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """One call, or several where the batch is larger than the server takes."""
        rows = len(next(iter(tensors.values())))
        most = self._most_rows or rows
        if rows <= most:
            return self._infer(tensors)
        starts = range(0, rows, most)
        parts = [
            self._infer({name: array[at : at + most] for name, array in tensors.items()}) for at in starts
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _infer(self, tensors: Tensors) -> dict[str, np.ndarray]:
        inputs = []
        for spec in self._signature.inputs:
            array = tensors[spec.name]
            given = triton.InferInput(spec.name, list(array.shape), spec.datatype)
            given.set_data_from_numpy(array)
            inputs.append(given)
        try:
            result = self._client.infer(
                self._model, inputs, self._version, outputs=self._outputs, client_timeout=self._timeout
            )
        except InferenceServerException as error:
            if error.status() == "StatusCode.RESOURCE_EXHAUSTED":
                raise Overloaded(self._name, error.message()) from error
            if error.status() in _AWAY:
                # A server whose machine went away says nothing, not even that the connection is gone.
                self._client.close()
                self._client = _connected(self._address)
                raise Unavailable(self._name, f"Triton: {error.message()}") from error
            raise
        return {spec.name: result.as_numpy(spec.name) for spec in self._signature.outputs}


def _connected(address: str) -> triton.InferenceServerClient:
    # Else gRPC hands a new client the connection of the one before it.
    return triton.InferenceServerClient(
        address, channel_args=[*_NO_LIMIT, ("grpc.use_local_subchannel_pool", 1)]
    )


def _address(artifact: Artifact) -> tuple[str, str, str]:
    """host:port, model, and version ("" for the server's choice)."""
    path = path_of(artifact, _PATH)
    parts = urlsplit(path)
    model, _, version = parts.path.strip("/").partition(":")
    if parts.scheme != "grpc" or not parts.hostname or not parts.port or not model or "/" in model:
        raise ArtifactError(f"model '{artifact.name}': path '{path}' is not {_PATH}")
    return parts.netloc, model, version


def _spec(tensor: "triton.service_pb2.ModelMetadataResponse.TensorMetadata") -> TensorSpec:
    return TensorSpec(tensor.name, tensor.datatype, tuple(tensor.shape))
