"""TensorFlow SavedModels, by one of their signatures."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notices are no news to an operator
# Else the first model takes a whole GPU's memory, whatever share of the GPU it was given.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
if "OMP_NUM_THREADS" in os.environ:
    # Ray's word on how many processors a replica has. Else each replica starts a thread for every one of the machine.
    for _pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_pool, os.environ["OMP_NUM_THREADS"])

import numpy as np
import tensorflow as tf

from mesh.errors import ArtifactError
from mesh.routing.datatypes import DATATYPE_OF
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import check_options, folder_of, text_option, uses_cuda
from mesh.runtimes.probing import with_outputs
from mesh.runtimes.tensorflow_graph import refuse_graph


class TensorFlowRuntime:
    """A SavedModel folder. Option: `signature`, the name of the signature to call (`serving_default`).

    bfloat16, which has no datatype in the protocol, is taken and answered as FP32.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact, "signature")
        folder = folder_of(artifact, "a SavedModel folder (it holds saved_model.pb)")
        name = text_option(artifact, "signature", "serving_default")
        gpu = bool(tf.config.list_physical_devices("GPU"))
        cuda = uses_cuda(artifact, gpu, "install tensorflow[and-cuda] on a machine with a GPU")
        self._device = "/GPU:0" if cuda else "/CPU:0"
        if not artifact.trusted:
            refuse_graph(artifact, folder)
        with tf.device(self._device):
            self._model = tf.saved_model.load(str(folder))
        if name not in self._model.signatures:
            there = sorted(self._model.signatures)
            raise ArtifactError(
                f"model '{artifact.name}': {folder} has no signature '{name}'; it has {there}"
            )
        self._call = self._model.signatures[name]
        inputs = self._call.structured_input_signature[1]
        stated = Signature(
            tuple(_spec(artifact, key, inputs[key]) for key in sorted(inputs)),
            tuple(_spec(artifact, key, spec) for key, spec in sorted(self._call.structured_outputs.items())),
        )
        self._halves = {name for name, spec in inputs.items() if spec.dtype == tf.bfloat16}
        self._signature = with_outputs(artifact, agreed(artifact, stated), self.score)

    @property
    def signature(self) -> Signature:
        """As the SavedModel states it, in the order of names; what it leaves open, as declared."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """One call of the signature."""
        with tf.device(self._device):
            given = {name: tf.constant(array) for name, array in tensors.items()}
            for name in self._halves:
                given[name] = tf.cast(given[name], tf.bfloat16)
            outputs = self._call(**given)
        return {name: value.numpy() for name, value in outputs.items()}

    def close(self) -> None:
        """Let go of the model and its variables."""
        self._call = self._model = None


def _spec(artifact: Artifact, name: str, spec: tf.TensorSpec) -> TensorSpec:
    dtype = np.dtype(object) if spec.dtype == tf.string else np.dtype(spec.dtype.as_numpy_dtype)
    if spec.dtype == tf.bfloat16:
        dtype = np.dtype(np.float32)
    if dtype not in DATATYPE_OF:
        raise ArtifactError(f"model '{artifact.name}': '{name}' is {spec.dtype.name}, which cannot be served")
    sizes = () if spec.shape.rank is None else tuple(-1 if size is None else size for size in spec.shape)
    return TensorSpec(name, DATATYPE_OF[dtype], sizes)
