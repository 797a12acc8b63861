"""The parts of a model's declaration: tensors, confidence, score, label, scaling, breaker."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mesh.routing.breaker import BreakerPolicy
from mesh.routing.facts import LabelRule
from mesh.routing.types import TensorSpec
from mesh.runtimes.base import ConfidenceRule
from mesh.spec.fields import Count, NotNegative, Number, Positive, Several, Share, Strict, Text

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
