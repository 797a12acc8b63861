"""ONNX models with ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed
from mesh.runtimes.base import Artifact
from mesh.runtimes.digest import checked_bytes
from mesh.runtimes.loading import check_options, file_of, uses_cuda, whole_number
from mesh.runtimes.probing import with_outputs

_DATATYPE_OF = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_SILENT = 4  # errors come as exceptions; a failing row must not also write to stderr


class OnnxRuntime:
    """An `.onnx` file. Options: `intra_threads` and `inter_threads` (1: replicas fill a machine).

    BYTES inputs must be UTF-8 text, because ONNX has no bytes: a row that is not raises.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact, "intra_threads", "inter_threads")
        path = file_of(artifact, "an .onnx file")
        settings = ort.SessionOptions()
        settings.log_severity_level = _SILENT
        settings.intra_op_num_threads = whole_number(artifact, "intra_threads", 1)
        settings.inter_op_num_threads = whole_number(artifact, "inter_threads", 1)
        # Threads that spin between calls take the processor from the event loop beside them.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = _opened(artifact, path, settings)
        inputs = tuple(_spec(artifact, node) for node in self._session.get_inputs())
        declared = {spec.name for spec in artifact.signature.outputs} if artifact.signature else set()
        outputs = [node for node in self._session.get_outputs() if not declared or node.name in declared]
        stated = Signature(inputs, tuple(_spec(artifact, node) for node in outputs))
        known = agreed(artifact, stated)
        self._texts = [spec.name for spec in inputs if spec.datatype == "BYTES"]
        self._outputs = [spec.name for spec in known.outputs]
        self._signature = with_outputs(artifact, known, self.score)

    @property
    def signature(self) -> Signature:
        """As the file states it; what it leaves open, as declared."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """One run of the session. Arrays are read where they lie."""
        feeds = tensors
        if self._texts:
            feeds = {**tensors, **{name: _decoded(tensors[name]) for name in self._texts}}
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def close(self) -> None:
        """Free the session and its memory."""
        self._session = None


def _opened(artifact: Artifact, path: Path, settings: ort.SessionOptions) -> ort.InferenceSession:
    wanted = _providers(artifact)
    if artifact.sha256 is None:
        session = ort.InferenceSession(str(path), settings, providers=wanted)
    else:
        # Weights in files beside it are not in its digest. A file is no folder, so none are found.
        settings.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path))
        try:
            session = ort.InferenceSession(checked_bytes(artifact, path), settings, providers=wanted)
        except Exception as error:
            if "external data path" not in str(error).lower():
                raise
            raise ArtifactError(
                f"model '{artifact.name}': {path}: its weights lie in files beside it, which sha256 does not cover; save the "
                "model as one file, or remove sha256"
            ) from error
    if artifact.device == "cuda" and wanted[0] not in session.get_providers():
        raise ArtifactError(
            f"model '{artifact.name}': device 'cuda' was asked for, but ONNX Runtime cannot use the GPU; look at its driver "
            "and its CUDA and cuDNN libraries, or set device to 'auto' or 'cpu'"
        )
    return session


def _providers(artifact: Artifact) -> list[str]:
    available = "CUDAExecutionProvider" in ort.get_available_providers()
    cuda = uses_cuda(
        artifact, available, "install onnxruntime-gpu in place of onnxruntime on a machine with a GPU"
    )
    return ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]


def _spec(artifact: Artifact, node: ort.NodeArg) -> TensorSpec:
    if node.type not in _DATATYPE_OF:
        raise ArtifactError(
            f"model '{artifact.name}': '{node.name}' is {node.type}, which cannot be served; export "
            "the model without it (scikit-learn: options={'zipmap': False}), or declare the other outputs"
        )
    sizes = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape)
    return TensorSpec(node.name, _DATATYPE_OF[node.type], sizes)


def _decoded(array: np.ndarray) -> np.ndarray:
    texts = np.empty(array.shape, dtype=object)
    texts.reshape(-1)[:] = [item.decode() for item in array.flat]
    return texts
