"""The model that gives back what it is given: the default, and the measure of all that is around a model."""

import numpy as np

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed, check_declared
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import check_options, refuse_cuda


class IdentityRuntime:
    """Answers every input, unchanged and not copied, as the output of the same name.

    Inputs are as declared, else `features` FP32 [-1, -1]. No options, no path.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact)
        refuse_cuda(artifact)
        if artifact.path:
            raise ArtifactError(f"model '{artifact.name}': the identity runtime has no artifact; remove path")
        declared = artifact.signature
        inputs = declared.inputs if declared is not None else ()
        inputs = inputs or (TensorSpec("features", "FP32", (-1, -1)),)
        check_declared(artifact, Signature(inputs, ()))
        self._signature = agreed(artifact, Signature(inputs, inputs))

    @property
    def signature(self) -> Signature:
        """The declared inputs, twice."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """The same arrays."""
        return dict(tensors)

    def close(self) -> None:
        """Nothing is held."""
