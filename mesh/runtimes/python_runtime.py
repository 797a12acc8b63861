"""Any Python object that scores: the way in for what no other runtime can load."""

import importlib
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, Tensors
from mesh.runtimes.agreement import agreed, check_declared, undeclared
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import path_of
from mesh.runtimes.probing import with_outputs

_PATH = "an import path such as 'package.module:ClassOrFactory'"


class PythonRuntime:
    """Scores with the object that `package.module:ClassOrFactory` makes, called with the options as keywords.

    The object has `score(tensors) -> {name: array}`, or is itself such a callable; it may have a `signature`
    (else the inputs must be declared; undeclared outputs are found by a call with zeros) and a `close()`.
    `device` has no effect: the object decides where it runs.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._model = _factory(artifact)(**artifact.options)
        score = getattr(self._model, "score", self._model)
        if not callable(score):
            raise ArtifactError(
                f"model '{artifact.name}': {artifact.path} gave an object that has no score()"
            )
        self._score = cast("Callable[[Tensors], object]", score)
        stated = getattr(self._model, "signature", None)
        if isinstance(stated, Signature):
            known = agreed(artifact, stated)
        elif artifact.signature is not None and artifact.signature.inputs:
            known = check_declared(artifact, artifact.signature)
        else:
            raise undeclared(artifact, f"{artifact.path} has no attribute 'signature' and")
        self._signature = with_outputs(artifact, known, self.score)

    @property
    def signature(self) -> Signature:
        """The object's own, else as declared."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """What the object gives; `TypeError` where that is no mapping of names to arrays."""
        outputs = self._score(tensors)
        if not isinstance(outputs, Mapping):
            raise TypeError(f"score() gave {type(outputs).__name__}, expected a dict of output name to array")
        return dict(outputs)

    def close(self) -> None:
        """Call the object's `close()` where it has one, and let go of it."""
        close = getattr(self._model, "close", None)
        if callable(close):
            close()
        self._model = self._score = _closed


def _closed(_: Tensors) -> object:
    raise RuntimeError("the model is closed")


def _factory(artifact: Artifact) -> Callable[..., object]:
    path = path_of(artifact, _PATH)
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ArtifactError(f"model '{artifact.name}': path '{path}' is not {_PATH}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ArtifactError(
            f"model '{artifact.name}': {path}: no module named '{error.name}'; is its folder on PYTHONPATH?"
        ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise ArtifactError(
            f"model '{artifact.name}': {path}: module '{module_name}' has nothing callable named '{name}'"
        )
    return cast("Callable[..., object]", factory)
