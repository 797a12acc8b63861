"""From labels to another calibration of the ensemble: the surprise that is worth an alert becomes the published threshold.

A label says whether a window with surprise u = -ln(1 - score) was anomalous. `OnlineLogistic` makes of it P(anomalous | u) =
sigmoid(a u + b). An alert is worth its cost where P >= p* = false_alarm / (false_alarm + miss) (C. Elkan, "The Foundations of
Cost-Sensitive Learning", IJCAI 2001), so from u* = (logit(p*) - b) / a on. With the surprise at the published threshold, L =
-ln(1 - threshold), all surprise is scaled by r = L / u*, so that rules and dashboards keep their threshold:

    score' = 1 - (1 - score)^r

No further than labels reach: down to the surprise that nine tenths of the anomalous ones exceed, up to the one that a tenth of
the normal ones exceed; between them a curve is a guess. Labels are weighted by one over the probability of being shown, so that
alerts, all of which are, do not stand for the rest.
"""

import io
from dataclasses import dataclass, replace
from math import log
from typing import Final

import numpy as np

from mesh.errors import ArtifactError, MeshError
from mesh.learning.anomaly.curve import CAP, Curve
from mesh.learning.anomaly.ensemble import Ensemble
from mesh.learning.online.logistic import Belief, OnlineLogistic
from mesh.learning.plan import UpdatePolicy

PRIOR_LABELS: Final = 30
"""Labels at the threshold that the belief before any label is worth."""


class Contradicted(MeshError):
    """Labels say that what scores higher is less anomalous: something is wrong with them, or with the model."""


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """`factor` is the whole scaling since the training, `step` that of this update.

    `worth` is the surprise worth an alert, in units of the training.
    """

    ensemble: Ensemble
    belief: Belief
    factor: float
    step: float
    worth: float


def prior(threshold: float, policy: UpdatePolicy) -> Belief:
    """What is believed before any label: that an alert is worth its cost exactly at the threshold.

    As sure as `PRIOR_LABELS` labels of that surprise would make it, and of anything else hardly sure. So labels far from the
    threshold, which most are, do not move it; those near it do.
    """
    limit = -log(1 - threshold)
    chance = policy.false_alarm / (policy.false_alarm + policy.miss)
    there = np.array([limit, 1.0])
    precision = PRIOR_LABELS * chance * (1 - chance) * np.outer(there, there) + np.diag([1.0, 0.01])
    return Belief(np.array([1.0, _logit(policy) - limit]), precision)


def recalibrated(
    trained: Ensemble,
    belief: Belief,
    before: float,
    surprise: np.ndarray,
    anomalous: np.ndarray,
    weight: np.ndarray,
    policy: UpdatePolicy,
) -> Recalibrated:
    """`trained` is as it was trained, `before` its scaling so far.

    `surprise` (in units of the training), `anomalous` and `weight` [L] are of labels. One update moves the scaling by
    `policy.most` at the most. Raises `Contradicted`.
    """
    learned = OnlineLogistic(belief).partial_fit(surprise[:, None], anomalous, sample_weight=weight).belief
    slope, offset = learned.mean.tolist()
    if slope <= 0:
        raise Contradicted(
            f"{len(surprise)} labels turn the calibration round (slope {slope:.2f}): higher scores would mean less"
        )
    limit = -log(1 - trained.threshold)
    worth = _within_reach((_logit(policy) - offset) / slope, limit / before, surprise, anomalous)
    wanted = limit / max(worth, limit / CAP)
    step = float(np.clip(wanted / before, 1 / policy.most, policy.most))
    factor = before * step
    return Recalibrated(scaled(trained, factor), learned, factor, step, worth)


def _within_reach(worth: float, present: float, surprise: np.ndarray, anomalous: np.ndarray) -> float:
    """`worth`, or the nearest to it that labels bear out; what is worth an alert now is always borne out."""
    low = high = present
    if anomalous.any():
        low = min(low, float(np.quantile(surprise[anomalous], 0.1)))
    if not anomalous.all():
        high = max(high, float(np.quantile(surprise[~anomalous], 0.9)))
    return float(np.clip(worth, low, high))


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
