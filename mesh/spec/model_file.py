"""`models.yaml`: what is hosted, and how. `docs/configuration.md` explains every key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mesh.registry.reference import is_reference, parse_reference
from mesh.routing.facts import ModelFacts
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes.base import Artifact, Device, RuntimeKind
from mesh.spec.fields import Count, ModelName, NotNegative, Positive, Several, Sha256, Strict, Text, Version
from mesh.spec.model_parts import (
    BreakerEntry,
    ConfidenceEntry,
    LabelEntry,
    ScalingEntry,
    ScoreEntry,
    TensorEntry,
)

FILE_KINDS: Final = ("torch", "tensorflow", "onnx")
"""Runtimes whose `path` is a file or folder, taken from the project's root where it is relative."""


class ModelEntry(Strict):
    """One hosted model, under its name in `models:`."""

    runtime: RuntimeKind
    """What loads and runs it."""
    version: Version = "1"
    """Its version, as answers name it."""
    path: Text | None = None
    """Its file or folder (torch, tensorflow, onnx), import path (python) or address (triton); for onnx also a registry's model,
    `registry:NAME@champion` or MLflow's `models:/NAME@champion`."""
    sha256: Sha256 | None = None
    """The digest that the file or folder must have, as `sha256sum` prints it; another one is not loaded."""
    trusted: bool = False
    """Whoever made the artifact may run code on this machine: what would be refused in it, pickles above all, is loaded."""
    device: Device = "auto"
    """Where it runs; `auto` takes a GPU where the replica has one."""
    inputs: Several[TensorEntry] | None = None
    """Its inputs, where the artifact does not state them or to fix sizes that it leaves open."""
    outputs: Several[TensorEntry] | None = None
    """Its outputs, likewise; the output that is the confidence among them."""
    confidence: ConfidenceEntry | None = None
    """How sure it is of a row; none where it is not given."""
    score: ScoreEntry | None = None
    """What rules read as `score`."""
    label: LabelEntry | None = None
    """What rules read as `label`."""
    options: dict[str, object] = Field(default_factory=dict)
    """The runtime's own options."""
    scaling: ScalingEntry = ScalingEntry()
    """How many replicas."""
    num_cpus: NotNegative = 0.1
    """Processors that Ray sets aside for a replica; a claim for placing, not a limit."""
    num_gpus: NotNegative = 0.0
    """GPUs of a replica; a fraction shares one."""
    max_batch_rows: Count = 8192
    """The most rows of one call."""
    max_inflight: Count = 2
    """Calls in progress per replica before rows are gathered."""
    timeout_s: Positive = 30.0
    """The most that one call may take."""
    expected_ms: Positive | None = None
    """What a call takes; a route whose deadline leaves less skips the model."""
    breaker: BreakerEntry = BreakerEntry()
    """When calls to it stop for a while."""
    env: dict[Text, Annotated[str, Field(strict=True)]] = Field(default_factory=dict)
    """Environment variables of its replicas."""

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        if self.runtime in ("identity", "rules"):
            if self.path is not None:
                raise ValueError(f"the runtime {self.runtime} has no artifact: remove path")
        elif self.path is None:
            raise ValueError(f"the runtime {self.runtime} needs a path: {_PATHS[self.runtime]}")
        if self.sha256 is not None and self.runtime not in FILE_KINDS:
            raise ValueError(f"sha256 belongs to a file or folder; the runtime {self.runtime} has none")
        if self.path is not None and is_reference(self.path):
            if self.runtime != "onnx":
                raise ValueError(f"{self.path}: registries hold onnx models, not {self.runtime}")
            parse_reference(self.path)
        if self.device == "cuda" and not self.num_gpus:
            # Ray hides every GPU from a replica that claims none.
            raise ValueError("device cuda needs num_gpus above 0; a fraction such as 0.25 shares a GPU")
        return self


class ModelsFile(Strict):
    """The whole file."""

    models: dict[ModelName, ModelEntry] = Field(default_factory=dict)
    """The hosted models, by name; `NAME@VERSION` hosts a version beside others of NAME."""


class ModelSpec(ModelEntry):
    """A hosted model with its name; `path` is absolute where it is a file."""

    name: str
    """The model's name, its deployment's and its endpoint's."""

    @classmethod
    def of(cls, name: str, entry: ModelEntry, root: Path) -> "ModelSpec":
        """The model that `entry` declares in a project whose root is `root`."""
        path = entry.path
        if path is not None and entry.runtime in FILE_KINDS and not is_reference(path):
            path = str((root / Path(path).expanduser()).resolve())
        version = version_in(name) or entry.version
        return cls.model_construct(**{**dict(entry), "name": name, "path": path, "version": version})

    def artifact(self) -> Artifact:
        """What a runtime needs to open it."""
        return Artifact(
            name=self.name,
            kind=self.runtime,
            version=self.version,
            path=self.path,
            device=self.device,
            signature=self._declared(),
            confidence=self.confidence.rule() if self.confidence else None,
            options=dict(self.options),
            sha256=self.sha256,
            trusted=self.trusted,
        )

    def facts(self) -> ModelFacts:
        """What rules may know of it without loading it; the signature only where it is declared whole."""
        return ModelFacts(
            name=self.name,
            signature=self._answered(),
            has_confidence=self.confidence is not None,
            score=(self.score.output, self.score.column) if self.score else None,
            label=self.label.rule() if self.label else None,
            expected_ms=self.expected_ms,
        )

    def _declared(self) -> Signature | None:
        if self.inputs is None and self.outputs is None:
            return None
        return Signature(_specs(self.inputs), _specs(self.outputs))

    def _answered(self) -> Signature | None:
        """Inputs and outputs as answered: without the output that is the confidence."""
        inputs, outputs = _specs(self.inputs), _specs(self.outputs)
        if self.runtime == "identity":
            inputs = inputs or IDENTITY_INPUTS
            outputs = outputs or inputs
        if not inputs or not outputs:
            return None
        taken = self.confidence.output if self.confidence else None
        return Signature(inputs, tuple(spec for spec in outputs if spec.name != taken))


IDENTITY_INPUTS: Final = (TensorSpec("features", "FP32", (-1, -1)),)
"""What the identity model takes where nothing is declared."""

_PATHS: Final[Mapping[str, str]] = {
    "python": "an import path such as package.module:ClassOrFactory",
    "torch": "a TorchScript or torch.export file",
    "tensorflow": "a SavedModel folder",
    "onnx": "an .onnx file",
    "triton": "an address such as grpc://host:8001/model",
}


def version_in(name: str) -> str:
    """The version that a model's name ends in, such as `2` in `anomaly@2`; empty where it has none."""
    return name.partition("@")[2]


def _specs(entries: tuple[TensorEntry, ...] | None) -> tuple[TensorSpec, ...]:
    return tuple(entry.spec() for entry in entries or ())
