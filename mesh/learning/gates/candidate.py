"""Who is examined, against whom, on what."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnxruntime

from mesh.learning.anomaly.ensemble import Ensemble
from mesh.learning.anomaly.study import Trial
from mesh.learning.anomaly.windows import Layout
from mesh.learning.feedback.guard import Trusted
from mesh.learning.feedback.training_set import LabelledRows

AT_ONCE = 10_000


@dataclass(frozen=True)
class Candidate:
    """A model as it would be served, `onnx`, and `features`, the digest of the columns that it takes.

    `ensemble` is its float64 original, None where there is none any more.
    """

    onnx: bytes
    features: str
    ensemble: Ensemble | None = None

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """One thread, as it is served."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Float32 [N] of rows float32 [N, S·F]."""
        parts = [np.empty(0, np.float32)]
        for begin in range(0, len(rows), AT_ONCE):
            parts += self.session.run(["score"], {"features": rows[begin : begin + AT_ONCE]})
        return np.concatenate(parts)


@dataclass(frozen=True)
class Evidence:
    """What is measured on: the frozen benchmark, the newest labels, which nothing was learned from, and whose labels count.

    `champion` is what serves now, None where nothing does. `threshold` is the score from which rules alert.
    """

    layout: Layout
    champion: Candidate | None
    benchmark: Trial
    held_out: LabelledRows
    feedback: Trusted
    threshold: float
