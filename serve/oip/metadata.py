"""What a server says of itself and its models: plain JSON objects, which gRPC turns into its messages."""

from typing import Final

from mesh.routing.types import Signature, TensorSpec
from serve.oip.inference import Inference
from serve.oip.request import CONFIDENCE

EXTENSIONS: Final = (
    "binary_tensor_data",
    "statistics",
    "model_repository",
    "model_configuration",
    "parameters",
)
_DATATYPE_PREFIX: Final = "TYPE_"

Json = dict[str, object]


def server_metadata(inference: Inference) -> Json:
    """The body of `GET /v2`."""
    server = inference.server
    return {"name": server.name, "version": server.version, "extensions": list(EXTENSIONS)}


def model_metadata(inference: Inference, endpoint: str, version: str = "") -> Json:
    """The body of `GET /v2/models/{m}`; no inputs and outputs while the signature is not known yet."""
    endpoint = inference.resolve(endpoint, version)
    own = inference.version_of(endpoint, version)
    inputs, outputs = _tensors(inference, endpoint)
    return {
        "name": endpoint,
        "versions": [own],
        "platform": inference.facts(endpoint).platform,
        "inputs": [_tensor(spec) for spec in inputs],
        "outputs": [_tensor(spec) for spec in outputs],
    }


def model_config(inference: Inference, endpoint: str, version: str = "") -> Json:
    """The body of `GET /v2/models/{m}/config`: Triton's ModelConfig, as far as its clients read it."""
    endpoint = inference.resolve(endpoint, version)
    inference.version_of(endpoint, version)
    inputs, outputs = _tensors(inference, endpoint)
    return {
        "name": endpoint,
        "platform": inference.facts(endpoint).platform,
        "backend": "hyperstream",
        "max_batch_size": inference.limits.rows,
        "input": [_config_tensor(spec) for spec in inputs],
        "output": [_config_tensor(spec) for spec in outputs],
        "model_transaction_policy": {"decoupled": False},
    }


def repository_index(inference: Inference, *, ready_only: bool = False) -> list[Json]:
    """The body of `POST /v2/repository/index`."""
    index: list[Json] = []
    for endpoint in inference.mesh.endpoints:
        ready = inference.mesh.ready(endpoint)
        if ready or not ready_only:
            index.append(
                {
                    "name": endpoint,
                    "version": inference.facts(endpoint).version,
                    "state": "READY" if ready else "UNAVAILABLE",
                    "reason": "" if ready else "no replica of one of its models serves",
                }
            )
    return index


def statistics_versions(inference: Inference, endpoint: str = "", version: str = "") -> dict[str, str]:
    """The endpoints that a statistics request means, with their versions; all without a name."""
    if endpoint:
        endpoint = inference.resolve(endpoint, version)
        return {endpoint: inference.version_of(endpoint, version)}
    return {name: inference.facts(name).version for name in inference.mesh.endpoints}


def _tensors(inference: Inference, endpoint: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    signature = inference.mesh.signature(endpoint) or Signature((), ())
    outputs = signature.outputs
    if outputs and inference.facts(endpoint).has_confidence:
        outputs = (*outputs, TensorSpec(CONFIDENCE, "FP32", (-1,)))
    return signature.inputs, outputs


def _tensor(spec: TensorSpec) -> Json:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _config_tensor(spec: TensorSpec) -> Json:
    """ModelConfig's shapes leave the rows out, and its texts have a name of their own."""
    datatype = "STRING" if spec.datatype == "BYTES" else spec.datatype
    return {"name": spec.name, "data_type": f"{_DATATYPE_PREFIX}{datatype}", "dims": list(spec.shape[1:])}
