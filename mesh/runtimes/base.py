"""What every runtime is: one loaded artifact that scores batches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from mesh.routing.types import Signature, Tensors

RuntimeKind = Literal["identity", "rules", "python", "torch", "tensorflow", "onnx", "triton"]
Device = Literal["auto", "cpu", "cuda"]
ConfidenceKind = Literal["output", "max_probability", "margin"]


@dataclass(frozen=True, slots=True)
class ConfidenceRule:
    """One definition of confidence for a model: the kind, and the output that it reads."""

    kind: ConfidenceKind
    output: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """All that is needed to open a model, free of Ray and YAML.

    `path` is a file, a folder, an import path or a URL, by runtime. `signature` declares inputs and outputs
    where the artifact does not state them (TorchScript), and must agree with it where it does. `options` are
    the runtime's own. `sha256` is the digest that the file or folder must have (`mesh.runtimes.digest`).
    `trusted` says that whoever made the artifact may run code here.
    """

    name: str
    kind: RuntimeKind
    version: str = "1"
    path: str | None = None
    device: Device = "auto"
    signature: Signature | None = None
    confidence: ConfidenceRule | None = None
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    sha256: str | None = None
    trusted: bool = False


class Runtime(Protocol):
    """A loaded model. Not thread-safe: one thread calls it at a time."""

    @property
    def signature(self) -> Signature:
        """Inputs and outputs, from the artifact where it states them."""
        ...

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Outputs for all N rows; any exception means that the call as a whole failed."""
        ...

    def close(self) -> None:
        """Free what the model holds."""
        ...
