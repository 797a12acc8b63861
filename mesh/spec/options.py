"""What may stand under a model's `options`, by runtime."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

from pydantic import Field, model_validator

from mesh.routing.problems import nearest
from mesh.runtimes.base import RuntimeKind
from mesh.spec.fields import Count, Number, Positive, Several, Strict, Text


class NoOptions(Strict):
    """Runtimes that have none."""


class TorchOptions(Strict):
    """Options of the runtime `torch`."""

    threads: Count | None = None
    """Threads of the whole process for one operator; torch's own choice where it is not given."""


class TensorFlowOptions(Strict):
    """Options of the runtime `tensorflow`."""

    signature: Text = "serving_default"
    """The SavedModel's signature to call."""


class OnnxOptions(Strict):
    """Options of the runtime `onnx`."""

    intra_threads: Count = 1
    """Threads inside one operator."""
    inter_threads: Count = 1
    """Operators that run side by side."""


class TritonOptions(Strict):
    """Options of the runtime `triton`."""

    timeout_s: Positive = 10.0
    """Time for each call."""


class ThresholdRule(Strict):
    """One rule: it fires when the column is past the threshold."""

    column: Text
    """The column, one of `columns`."""
    above: Number | None = None
    """It fires above this value."""
    below: Number | None = None
    """It fires below this value."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        return self


class RulesOptions(Strict):
    """Options of the runtime `rules`."""

    columns: Several[Text]
    """The names of the input's columns, in their order."""
    rules: Several[ThresholdRule]
    """The rules; a row is flagged when one of them fires."""
    scale: dict[str, Positive] = Field(default_factory=dict)
    """What counts as far from a threshold, for each column; 1 where it is not given."""
    steepness: Positive = 1.0
    """How fast the probability rises with the margin."""
    calibration: Positive = 1.0
    """How fast confidence rises with the distance from the nearest threshold."""
    input: Text = "features"
    """The name of the input tensor."""

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"columns names '{twice}' twice")
        for name in (*(rule.column for rule in self.rules), *self.scale):
            if name not in self.columns:
                raise ValueError(f"'{name}' is not one of columns{nearest(name, self.columns)}")
        return self


OPTIONS_OF: Final[Mapping[RuntimeKind, type[Strict] | None]] = MappingProxyType(
    {
        "identity": NoOptions,
        "rules": RulesOptions,
        "python": None,  # keywords of the user's own class
        "torch": TorchOptions,
        "tensorflow": TensorFlowOptions,
        "onnx": OnnxOptions,
        "triton": TritonOptions,
    }
)
"""The model of each runtime's options; None where they are the user's own."""
