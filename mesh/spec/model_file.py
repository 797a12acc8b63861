"""`models.yaml`: what is hosted, and how. `docs/configuration.md` explains every key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mesh.routing.breaker import BreakerPolicy
from mesh.routing.facts import LabelRule, ModelFacts
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceRule, Device, RuntimeKind
from mesh.spec.fields import Count, Name, NotNegative, Number, Positive, Several, Share, Strict, Text, Version

FILE_KINDS: Final = ("torch", "tensorflow", "onnx")
"""Runtimes whose `path` is a file or folder, taken from the project's root where it is relative."""

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]


class TensorEntry(Strict):
    """One input or output: name, datatype and shape, batch dimension first."""

    name: Text
    """The tensor's name."""
    datatype: Datatype
    """Its Open Inference Protocol datatype."""
    shape: Several[Annotated[int, Field(strict=True, ge=-1)]]
    """The whole shape; the first is the batch and must be -1, elsewhere -1 stands for any size."""

    @model_validator(mode="after")
    def _batch_first(self) -> Self:
        if self.shape[0] != -1:
            raise ValueError(f"shape must begin with -1 (the batch, of any size), not {self.shape[0]}")
        if 0 in self.shape:
            raise ValueError("shape holds 0: a dimension has a size of 1 or more, or -1 for any")
        return self

    def spec(self) -> TensorSpec:
        """The same, for the rest of the mesh."""
        return TensorSpec(self.name, self.datatype, self.shape)


class ConfidenceEntry(Strict):
    """One definition of confidence; exactly one key."""

    output: Text | None = None
    """The model gives it: this output, [N] or [N, 1]."""
    max_probability: Text | None = None
    """The largest value of this output's row, [N, classes]."""
    margin: Text | None = None
    """The largest less the second largest value of this output's row, [N, classes]."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give exactly one of output, max_probability, margin")
        return self

    def rule(self) -> ConfidenceRule:
        """The same, for the rest of the mesh."""
        if self.output is not None:
            return ConfidenceRule("output", self.output)
        if self.margin is not None:
            return ConfidenceRule("margin", self.margin)
        return ConfidenceRule("max_probability", self.max_probability or "")


class ScoreEntry(Strict):
    """The number that rules read as `score`: one column of an output."""

    output: Text
    """The output that holds it, [N, columns] or [N]."""
    column: Annotated[int, Field(strict=True, ge=0)] = 0
    """The column, counted from 0."""


class LabelEntry(Strict):
    """What rules read as `label`: the largest column, an output itself, or whether it is past a threshold."""

    argmax: Text | None = None
    """An output [N, classes]; the number of its largest column, from 0, is the label."""
    output: Text | None = None
    """An output whose first element is the label, or is compared with `threshold`."""
    threshold: Number | None = None
    """With `output`: the label is 1 where the element is at least this, else 0."""
    names: tuple[Text, ...] = ()
    """Texts that stand for the numbers 0, 1, ..."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.argmax is None) == (self.output is None):
            raise ValueError("give either argmax or output")
        if self.threshold is not None and self.output is None:
            raise ValueError("threshold belongs to output")
        if self.threshold is not None and len(self.names) not in (0, 2):
            raise ValueError(
                f"names must be two beside threshold (below it, and from it on), not {len(self.names)}"
            )
        return self

    def rule(self) -> LabelRule:
        """The same, for the rest of the mesh."""
        if self.argmax is not None:
            return LabelRule(self.argmax, "argmax", self.names)
        if self.threshold is not None:
            return LabelRule(self.output or "", "threshold", self.names, self.threshold)
        return LabelRule(self.output or "", "value", self.names)


class ScalingEntry(Strict):
    """How many replicas, as Ray Serve's autoscaling means these words."""

    min_replicas: Annotated[int, Field(strict=True, ge=0)] = 1
    """At least so many; 0 lets an idle model go away until a request wakes it."""
    max_replicas: Count = 1
    """At most so many."""
    target_ongoing_requests: Positive = 64.0
    """Rows in work and waiting, per replica, that scaling aims at; a row of a batch counts as a request."""
    upscale_delay_s: NotNegative = 2.0
    """Load must last so long before replicas are added."""
    downscale_delay_s: NotNegative = 30.0
    """Idleness must last so long before replicas are taken away."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas ({self.max_replicas}) is below min_replicas ({self.min_replicas})"
            )
        return self


class BreakerEntry(Strict):
    """When calls to a model stop for a while, as resilience4j's circuit breaker means these words."""

    failure_rate: Share = 0.5
    """Open at this share of failed calls, above 0 and up to 1."""
    slow_rate: Share = 1.0
    """Open at this share of slow calls, above 0 and up to 1."""
    slow_s: Positive = 10.0
    """A call that takes so long is slow."""
    window_calls: Count = 100
    """The shares are of the last so many calls."""
    window_s: Positive = 30.0
    """And of no call older than this."""
    min_calls: Count = 10
    """Fewer calls than this in the window never open it."""
    open_s: Positive = 5.0
    """So long no call is made; then probes."""
    probes: Count = 3
    """Calls let through to find out; their shares close or open it."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.min_calls > self.window_calls:
            raise ValueError(
                f"min_calls ({self.min_calls}) is more than window_calls ({self.window_calls}) holds"
            )
        return self

    def policy(self) -> BreakerPolicy:
        """The same, for the rest of the mesh."""
        return BreakerPolicy(**self.model_dump())


class ModelEntry(Strict):
    """One hosted model, under its name in `models:`."""

    runtime: RuntimeKind
    """What loads and runs it."""
    version: Version = "1"
    """Its version, as answers name it."""
    path: Text | None = None
    """Its file or folder (torch, tensorflow, onnx), import path (python) or address (triton)."""
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
        if self.device == "cuda" and not self.num_gpus:
            # Ray hides every GPU from a replica that claims none.
            raise ValueError("device cuda needs num_gpus above 0; a fraction such as 0.25 shares a GPU")
        return self


class ModelsFile(Strict):
    """The whole file."""

    models: dict[Name, ModelEntry] = Field(default_factory=dict)
    """The hosted models, by name."""


class ModelSpec(ModelEntry):
    """A hosted model with its name; `path` is absolute where it is a file."""

    name: str
    """The model's name, its deployment's and its endpoint's."""

    @classmethod
    def of(cls, name: str, entry: ModelEntry, root: Path) -> "ModelSpec":
        """The model that `entry` declares in a project whose root is `root`."""
        path = entry.path
        if path is not None and entry.runtime in FILE_KINDS:
            path = str((root / Path(path).expanduser()).resolve())
        return cls.model_construct(**{**dict(entry), "name": name, "path": path})

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


def _specs(entries: tuple[TensorEntry, ...] | None) -> tuple[TensorSpec, ...]:
    return tuple(entry.spec() for entry in entries or ())
