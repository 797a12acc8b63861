"""The frozen benchmark: simulated machines by seed, their faults and their health, the same for every candidate."""

import numpy as np

from mesh.learning.anomaly.evaluate import Quality, Scored, measure
from mesh.learning.gates.candidate import Candidate, Evidence
from mesh.learning.plan import GatePolicy
from mesh.registry.version import GateResult


def benchmark(candidate: Candidate, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """`benchmark-found`, the mean over kinds of the share of faults found, and `benchmark-false`, of healthy windows above."""
    ours = _quality(candidate, evidence)
    if evidence.champion is None:
        least, most, against = policy.least_found, policy.most_false, "without a champion"
    else:
        theirs = _quality(evidence.champion, evidence)
        least, most = found(theirs) - policy.found, theirs.false_windows.share + policy.false_share
        against = f"the champion's {found(theirs):.3f}"
        against_false = f"the champion's {theirs.false_windows.share:.5f}"
    if evidence.champion is None:
        against_false = against
    false = ours.false_windows.share
    return [
        GateResult(
            "benchmark-found",
            "passed" if found(ours) >= least else "failed",
            found(ours),
            least,
            _said(
                f"finds {found(ours):.3f} of faults", found(ours) - least, f"{least:.3f} needed ({against})"
            ),
        ),
        GateResult(
            "benchmark-false",
            "passed" if false <= most else "failed",
            false,
            most,
            _said(
                f"{false:.5f} of healthy windows alert", most - false, f"{most:.5f} allowed ({against_false})"
            ),
        ),
    ]


def found(quality: Quality) -> float:
    """The mean over kinds of the share of faults found; every kind counts alike, however many faults it has."""
    shares = [one.found.share for one in quality.kinds.values()]
    return float(np.mean(shares)) if shares else 0.0


def _quality(model: Candidate, evidence: Evidence) -> Quality:
    trial = evidence.benchmark
    scored = {id(one): Scored(one, model.scores(one.flat)) for one in (*trial.faulty, *trial.healthy)}
    return measure(
        [scored[id(one)] for one in trial.faulty],
        [scored[id(one)] for one in trial.healthy],
        evidence.threshold,
    )


def _said(what: str, room: float, limit: str) -> str:
    return f"{what}, {limit}" if room >= 0 else f"{what}, {-room:.4g} short of {limit}"
