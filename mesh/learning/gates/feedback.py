"""The people's side: may these labels be learned from, and is the candidate right about the newest of them?"""

import numpy as np

from mesh.learning.feedback.training_set import LabelledRows
from mesh.learning.gates.candidate import Candidate, Evidence
from mesh.learning.plan import GatePolicy
from mesh.registry.version import GateResult


def feedback(evidence: Evidence) -> GateResult:
    """`feedback`: the guard's verdict on whose labels count."""
    judged = evidence.feedback
    if judged.problems:
        return GateResult("feedback", "failed", judged.agreement, None, "; ".join(judged.problems))
    agreement = "too few judged twice" if judged.agreement is None else f"AC1 {judged.agreement:.2f}"
    said = f"{len(judged.labels)} labels of {judged.people} people, {agreement}"
    if judged.left_out:
        said += f"; {len(judged.left_out)} left out: {next(iter(judged.left_out.values()))}"
    return GateResult("feedback", "passed", judged.agreement, None, said)


def recent_labels(candidate: Candidate, evidence: Evidence, policy: GatePolicy) -> GateResult:
    """`labels`: balanced accuracy on labels that nothing was learned from, not below the champion's by more than the margin."""
    rows = evidence.held_out
    classes = (int(rows.anomalous.sum()), int((~rows.anomalous).sum()))
    if len(rows) < policy.least_labels or min(classes) == 0:
        said = f"{classes[0]} anomalous and {classes[1]} normal labels held out; both and {policy.least_labels} in all are needed"
        return GateResult("labels", "unmeasured", None, None, said)
    ours = balanced_accuracy(rows, candidate.scores(rows.flat), evidence.threshold)
    if evidence.champion is None:
        least, against = policy.least_accuracy, "no champion to compare with"
    else:
        theirs = balanced_accuracy(rows, evidence.champion.scores(rows.flat), evidence.threshold)
        least, against = theirs - policy.labels, f"the champion's {theirs:.3f}"
    said = f"balanced accuracy {ours:.3f} on {len(rows)} labels, {against}, {least:.3f} needed"
    if ours < least:
        said += f": {least - ours:.3f} short"
    return GateResult("labels", "passed" if ours >= least else "failed", ours, least, said)


def balanced_accuracy(rows: LabelledRows, scores: np.ndarray, threshold: float) -> float:
    """The mean of TPR and TNR, each with Horvitz-Thompson weights; both classes must be there."""
    right = (scores >= threshold) == rows.anomalous
    shares = [
        float((rows.weight * right)[chosen].sum() / rows.weight[chosen].sum())
        for chosen in (rows.anomalous, ~rows.anomalous)
    ]
    return sum(shares) / 2
