"""How one kind of artifact is loaded and run: one adapter per framework, each the only importer of it.

Nothing here imports a framework until a model of its kind is opened, and nothing here needs Ray: a replica,
a replay and a test open the same objects.
"""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, cast

from mesh.errors import ArtifactError, MeshError
from mesh.routing.types import Signature
from mesh.runtimes.base import Artifact, Runtime, RuntimeKind
from mesh.runtimes.digest import check_digest
from mesh.runtimes.scorer import Scorer

__all__ = ["describe", "open_runtime"]

_ADAPTERS: Final[Mapping[RuntimeKind, str]] = MappingProxyType(
    {
        "identity": "identity_runtime:IdentityRuntime",
        "rules": "rules_runtime:RulesRuntime",
        "python": "python_runtime:PythonRuntime",
        "torch": "torch_runtime:TorchRuntime",
        "tensorflow": "tensorflow_runtime:TensorFlowRuntime",
        "onnx": "onnx_runtime:OnnxRuntime",
        "triton": "triton_runtime:TritonRuntime",
    }
)

_INSTALL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "torch": "pip install 'hyperstream-mesh[torch]'",
        "tensorflow": "pip install 'hyperstream-mesh[tensorflow]'",
        "onnxruntime": "pip install onnxruntime",
        "tritonclient": "pip install 'tritonclient[grpc]'",
    }
)
"""What brings a framework that is not installed, by the top-level module that is missing."""


def open_runtime(artifact: Artifact) -> Runtime:
    """Load `artifact` with the adapter of its kind.

    Raises `ArtifactError` when the artifact is missing, corrupt or not the declared one, disagrees with its signature,
    asks for a device that is not there, or needs a framework that is not installed (with the command that
    installs it).
    """
    if artifact.kind not in _ADAPTERS:
        raise ArtifactError(
            f"model '{artifact.name}': runtime '{artifact.kind}' is not one of {', '.join(_ADAPTERS)}"
        )
    check_digest(artifact)
    try:
        return _adapter(artifact)(artifact)
    except MeshError:
        raise
    except Exception as error:
        # Frameworks say "corrupt" in as many ways as there are files; all mean that this model cannot be
        # served.
        raise ArtifactError(
            f"model '{artifact.name}': {artifact.path} cannot be loaded as a {artifact.kind} model: "
            f"{type(error).__name__}: {error}"
        ) from error


def describe(artifact: Artifact) -> Signature:
    """What the model takes and answers, for checks at load: opens it, asks and closes it.

    The output that is the model's confidence is not in it. Raises `ArtifactError`, as `open_runtime` does.
    """
    runtime = open_runtime(artifact)
    try:
        return Scorer(runtime, artifact).signature
    finally:
        runtime.close()


def _adapter(artifact: Artifact) -> Callable[[Artifact], Runtime]:
    module, name = _ADAPTERS[artifact.kind].split(":")
    try:
        return cast(
            "Callable[[Artifact], Runtime]", getattr(importlib.import_module(f"{__name__}.{module}"), name)
        )
    except ImportError as error:
        install = _INSTALL.get((error.name or "").partition(".")[0])
        if isinstance(error, ModuleNotFoundError) and install is not None:
            raise ArtifactError(
                f"model '{artifact.name}': the {artifact.kind} runtime is not installed; "
                f"install it with: {install}"
            ) from error
        raise ArtifactError(
            f"model '{artifact.name}': the {artifact.kind} runtime cannot be imported: {error}"
        ) from error
