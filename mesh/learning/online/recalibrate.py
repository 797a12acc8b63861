"""From labels to another calibration of the ensemble: the surprise that is worth an alert becomes the published threshold.

A label says whether a window with surprise u = -ln(1 - score) was anomalous. `OnlineLogistic` makes of it P(anomalous | u) =
sigmoid(a u + b). An alert is worth its cost where P >= p* = false_alarm / (false_alarm + miss) (C. Elkan, "The Foundations of
Cost-Sensitive Learning", IJCAI 2001), so from u* = (logit(p*) - b) / a on. With the surprise at the published threshold, L =
-ln(1 - threshold), all surprise is scaled by r = L / u*, so that rules and dashboards keep their threshold:

    score' = 1 - (1 - score)^r
"""

import io
from dataclasses import dataclass, replace
from math import log

import numpy as np

from mesh.errors import ArtifactError, MeshError
from mesh.learning.anomaly.curve import CAP, Curve
from mesh.learning.anomaly.ensemble import Ensemble
from mesh.learning.online.logistic import Belief, OnlineLogistic
from mesh.learning.plan import UpdatePolicy


class Contradicted(MeshError):
    """Labels say that what scores higher is less anomalous: something is wrong with them, or with the model."""


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """`factor` is the whole scaling since the training, `step` that of this update; `worth` the surprise worth an alert, in
    units of the training.
    """

    ensemble: Ensemble
    belief: Belief
    factor: float
    step: float
    worth: float


def prior(threshold: float, policy: UpdatePolicy) -> Belief:
    """What is believed before any label: an alert is worth its cost exactly at the threshold; as sure as a few labels."""
    limit = -log(1 - threshold)
    return Belief(np.array([1.0, _logit(policy) - limit]), np.diag([1.0, 0.05]))


def recalibrated(
    trained: Ensemble,
    belief: Belief,
    before: float,
    surprise: np.ndarray,
    anomalous: np.ndarray,
    weight: np.ndarray,
    policy: UpdatePolicy,
) -> Recalibrated:
    """`trained` is as it was trained, `before` its scaling so far; `surprise` float64 [L] is in units of the training.

    One update moves the scaling by `policy.most` at the most. Raises `Contradicted`.
    """
    learned = OnlineLogistic(belief).partial_fit(surprise[:, None], anomalous, weight).belief
    slope, offset = learned.mean.tolist()
    if slope <= 0:
        raise Contradicted(
            f"{len(surprise)} labels turn the calibration round (slope {slope:.2f}): higher scores would mean less"
        )
    limit = -log(1 - trained.threshold)
    worth = (_logit(policy) - offset) / slope
    # Where even the least surprise is worth an alert, only the bound on one step holds it.
    wanted = limit / worth if worth > limit / CAP else CAP
    step = float(np.clip(wanted / before, 1 / policy.most, policy.most))
    factor = before * step
    return Recalibrated(scaled(trained, factor), learned, factor, step, worth)


def scaled(ensemble: Ensemble, factor: float) -> Ensemble:
    """The ensemble whose surprise is `factor` times as large."""
    together = ensemble.together
    return replace(ensemble, together=Curve(together.knots, together.bends * factor))


def surprise_of(score: np.ndarray) -> np.ndarray:
    """Of scores [N] in 0-1: float64 [N], 0 to `CAP`."""
    left = np.maximum(1.0 - score.astype(np.float64), np.exp(-CAP))
    return np.asarray(-np.log(left))


def belief_bytes(belief: Belief, factor: float, upto_ms: int) -> bytes:
    """For a version's files: the belief, the scaling, and up to which time of settling labels were learned."""
    file = io.BytesIO()
    np.savez(
        file,
        mean=belief.mean,
        precision=belief.precision,
        seen=np.array(belief.seen),
        factor=np.array(factor),
        upto=np.array(upto_ms),
    )
    return file.getvalue()


def read_belief(data: bytes) -> tuple[Belief, float, int]:
    """The same. Raises `ArtifactError` for other bytes."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as parts:
            belief = Belief(parts["mean"], parts["precision"], float(parts["seen"]))
            return belief, float(parts["factor"]), int(parts["upto"])
    except (ValueError, KeyError, OSError) as error:
        raise ArtifactError(f"these bytes are no stored calibration: {error}") from error


def _logit(policy: UpdatePolicy) -> float:
    return log(policy.false_alarm / policy.miss)
