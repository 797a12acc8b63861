"""The one way to call a model: checked input, rows that fail alone, outputs as the mesh carries them."""

import math
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from mesh.errors import ArtifactError, InvalidInput, MeshError
from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.signature import describe as show
from mesh.routing.signature import describe_array, first_mismatch, shape_fits
from mesh.routing.types import Scored, Signature, Tensors
from mesh.runtimes.base import Artifact, Runtime
from mesh.runtimes.confidence import confidence_reader
from mesh.runtimes.halving import all_failed, no_confidence, score_by_halves
from mesh.runtimes.outputs import WrongOutput, fitted, joined
from mesh.runtimes.probing import zeros

_NEWEST: Final = 0.2
"""The weight of the last call in `seconds_per_call`."""


class Scorer:
    """Scores batches with one runtime. Not thread-safe: one thread calls it at a time.

    `ArtifactError` where the declared confidence does not fit the model's outputs.
    """

    def __init__(self, runtime: Runtime, artifact: Artifact) -> None:
        self._runtime = runtime
        self._artifact = artifact
        self._whole = runtime.signature
        self._rows_of = self._whole.inputs[0].name
        self._expected = tuple((spec.name, NUMPY_OF[spec.datatype]) for spec in self._whole.outputs)
        rule = artifact.confidence
        self._read = None if rule is None else confidence_reader(artifact, rule, self._whole.outputs)
        self._taken = rule.output if rule is not None and rule.kind == "output" else None
        self._signature = _answered(artifact, self._whole, self._taken)
        self._seconds = math.inf

    @property
    def signature(self) -> Signature:
        """Inputs, and outputs as answered: the output that is the confidence is not among them."""
        return self._signature

    @property
    def seconds_per_call(self) -> float:
        """Moving average of the runtime's time in calls that did not raise; infinite before the first."""
        return self._seconds

    def score(self, tensors: Tensors, deadline: float | None = None) -> Scored:
        """What the model says of these N rows; N = 0 is answered without asking it.

        A row that raises alone is in `failed` and harms no other. Outputs of the wrong kind fail all rows.
        Raises `InvalidInput` where the tensors do not fit the signature, `DeadlineExceeded` where rows that raise are not
        found by `deadline` (`time.monotonic`), and passes on a runtime's own `MeshError` (a remote model that is away) and
        `MemoryError`.
        """
        mismatch = first_mismatch(self._whole, tensors)
        if mismatch is not None:
            raise InvalidInput(mismatch.input, f"expected {mismatch.expected}, got {mismatch.got}")
        rows = len(tensors[self._rows_of])
        if not rows:
            return self._scored(zeros(self._whole.outputs, 0, open_size=0), None)
        try:
            return self._scored(self._called(tensors, rows), None)
        except WrongOutput as error:
            return self._none_scored(rows, all_failed(rows, error))
        except (MeshError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, some row is at fault; a panic of Rust is no Exception
            return self._scored_by_halves(tensors, rows, error, deadline)

    def warm_up(self, sizes: Sequence[int] = (1, 64)) -> None:
        """Call the model with zeros of each size, so that the first caller does not pay for compiling.

        `ArtifactError` where the model fails on them, or answers in other shapes than are declared, unless an input's size is
        open: zeros are then only a guess. Done twice, and only the second round counts in `seconds_per_call`.
        """
        guessed = any(-1 in spec.shape[1:] for spec in self._whole.inputs)
        for _ in range(2):
            self._seconds = math.inf
            for size in sizes:
                scored = self.score(zeros(self._whole.inputs, size))
                if len(scored.failed) == size and not guessed:
                    raise ArtifactError(
                        f"model '{self._artifact.name}': it fails on {size} row(s) of zeros: "
                        f"{scored.failed[0]}"
                    )
                if not guessed:
                    self._check_declared(scored.outputs)

    def _check_declared(self, outputs: Tensors) -> None:
        declared = self._artifact.signature
        for spec in declared.outputs if declared else ():
            array = outputs.get(spec.name)
            if array is not None and not shape_fits(spec.shape, array.shape):
                raise ArtifactError(
                    f"model '{self._artifact.name}': output '{spec.name}' is declared as {show(spec)}, but the model gives "
                    f"{describe_array(array)}; declare the shape that it gives"
                )

    def close(self) -> None:
        """Free what the runtime holds."""
        self._runtime.close()

    def _called(self, tensors: Tensors, rows: int) -> dict[str, np.ndarray]:
        started = time.perf_counter()
        raw = self._runtime.score(tensors)
        took = time.perf_counter() - started
        self._seconds = (
            took if self._seconds == math.inf else self._seconds + _NEWEST * (took - self._seconds)
        )
        return fitted(raw, self._expected, rows)

    def _scored(self, outputs: dict[str, np.ndarray], failed: dict[int, str] | None) -> Scored:
        confidence = None
        if self._read is not None:
            confidence = self._read(outputs)
            if self._taken is not None:
                del outputs[self._taken]
        if not failed:
            return Scored(outputs, confidence, self._artifact.version)
        if confidence is not None:
            confidence[list(failed)] = np.nan  # ours to write: `joined` made the array that it came from
        return Scored(outputs, confidence, self._artifact.version, failed)

    def _scored_by_halves(
        self, tensors: Tensors, rows: int, error: BaseException, deadline: float | None
    ) -> Scored:
        try:
            pieces, failed = score_by_halves(self._called, tensors, rows, error, deadline)
            if not pieces:
                return self._none_scored(rows, failed)
            return self._scored(joined(pieces, rows, self._whole.outputs), failed)
        except WrongOutput as wrong:
            return self._none_scored(rows, all_failed(rows, wrong))

    def _none_scored(self, rows: int, failed: dict[int, str]) -> Scored:
        confidence = None if self._read is None else no_confidence(rows)
        return Scored({}, confidence, self._artifact.version, failed)


def _answered(artifact: Artifact, whole: Signature, taken: str | None) -> Signature:
    outputs = tuple(spec for spec in whole.outputs if spec.name != taken)
    if not outputs:
        raise ArtifactError(
            f"model '{artifact.name}': confidence: output: {taken}: the model has no other output"
        )
    if any(spec.name == "confidence" for spec in outputs):
        raise ArtifactError(
            f"model '{artifact.name}': the output name 'confidence' is the mesh's own; declare confidence: "
            "{output: confidence}, or rename the output"
        )
    return Signature(whole.inputs, outputs)
