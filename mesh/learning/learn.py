"""A training and a light update, from labels to a version with a gate report. Neither touches what serves.

A version that passed becomes `challenger`; only a person or a rollout moves `champion`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from mesh.errors import InvalidInput, WrongState
from mesh.learning.anomaly.ensemble import Ensemble
from mesh.learning.anomaly.export import to_onnx_bytes
from mesh.learning.anomaly.stored import ensemble_bytes, read_ensemble
from mesh.learning.anomaly.train import Trained, train
from mesh.learning.bench import (
    CALIBRATION_FILE,
    CARD_FILE,
    ENSEMBLE_FILE,
    Bench,
    Feedback,
    champion_of,
    feedback_of,
)
from mesh.learning.feedback.training_set import healthy_set, lineage_of, replayed
from mesh.learning.gates import Candidate, Evidence, examined
from mesh.learning.online.logistic import Belief
from mesh.learning.online.recalibrate import (
    Contradicted,
    Recalibrated,
    belief_bytes,
    prior,
    read_belief,
    recalibrated,
    scaled,
    surprise_of,
)
from mesh.registry import Changed, Draft, GateResult, Lineage, ModelVersion
from mesh.registry.version import Origin

NEVER: Final = -(1 << 62)


@dataclass(frozen=True, slots=True)
class Learned:
    """`version` is None where it was stopped before anything was learned; `gates` then says why.

    `challenger` tells whether it became that.
    """

    version: ModelVersion | None
    gates: tuple[GateResult, ...]
    challenger: bool
    missing: int

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return self.version is not None and self.version.passed


def retrain(
    bench: Bench, actor: str, now_ms: int, progress: Callable[[str], None] = lambda _: None
) -> Learned:
    """Train anew from replay, simulated machines and labels; calibrate by the labels; examine; keep.

    `progress` is told what begins. Raises `InvalidInput` where there are too few healthy windows.
    """
    feedback = feedback_of(bench, NEVER, now_ms)
    stopped = _stopped(feedback)
    if stopped is not None:
        return stopped
    progress("gathering windows")
    replay = None
    if bench.history is not None:
        labels = feedback.trusted.labels
        plan = bench.plan
        replay = replayed(bench.history, labels, plan.replay, bench.layout, plan.seed, now_ms).rows
    windows = healthy_set(bench.layout, replay, feedback.training, bench.plan.feedback, bench.simulated())
    progress(f"learning from {len(windows):,} windows")
    try:
        trained = train(windows, bench.plan.seed)
    except ValueError as error:
        raise InvalidInput("history", f"{error}; or set replay.simulated in learning.yaml") from None
    try:
        calibration = _calibrated(
            bench, trained.ensemble, prior(trained.ensemble.threshold, bench.plan.update), 1.0, feedback
        )
    except Contradicted as error:
        return _contradicted(feedback, error)
    parent, _ = champion_of(bench)
    lineage = lineage_of(feedback.training, replay, len(windows), parent.number if parent else None)
    return _kept(
        bench, "retrained", trained.ensemble, calibration, feedback, lineage, actor, now_ms, progress, trained
    )


def update(
    bench: Bench, actor: str, now_ms: int, progress: Callable[[str], None] = lambda _: None
) -> Learned:
    """Move the champion's calibration by the labels that it has not learned from; examine; keep.

    Raises `WrongState` where there is no champion that was trained here.
    """
    version, _ = champion_of(bench)
    if version is None or ENSEMBLE_FILE not in version.files:
        raise WrongState(
            f"'{bench.plan.model}'", "without a champion of `hyperstream learn anomaly`", "update"
        )
    trained = read_ensemble(bench.registry.file(version, ENSEMBLE_FILE))
    belief, factor, upto = read_belief(bench.registry.file(version, CALIBRATION_FILE))
    feedback = feedback_of(bench, upto, now_ms)
    stopped = _stopped(feedback)
    if stopped is not None:
        return stopped
    try:
        calibration = _calibrated(bench, trained, belief, factor, feedback)
    except Contradicted as error:
        return _contradicted(feedback, error)
    lineage = lineage_of(feedback.training, None, len(feedback.training), version.number)
    return _kept(
        bench, "updated", trained, calibration, feedback, lineage, actor, now_ms, progress, None, upto
    )


def _stopped(feedback: Feedback) -> Learned | None:
    if not feedback.trusted.problems:
        return None
    problems = feedback.trusted
    result = GateResult("feedback", "failed", problems.agreement, None, "; ".join(problems.problems))
    return Learned(None, (result,), challenger=False, missing=len(feedback.missing))


def _contradicted(feedback: Feedback, error: Contradicted) -> Learned:
    result = GateResult("calibration", "failed", None, None, str(error))
    return Learned(None, (result,), challenger=False, missing=len(feedback.missing))


def _calibrated(
    bench: Bench, trained: Ensemble, belief: Belief, factor: float, feedback: Feedback
) -> Recalibrated:
    rows = feedback.training
    if not len(rows):
        return Recalibrated(scaled(trained, factor), belief, factor, 1.0, float("nan"))
    surprise = surprise_of(trained.judge(rows.values).score)
    return recalibrated(trained, belief, factor, surprise, rows.anomalous, rows.weight, bench.plan.update)


def _kept(
    bench: Bench,
    origin: Origin,
    trained: Ensemble,
    calibration: Recalibrated,
    feedback: Feedback,
    lineage: Lineage,
    actor: str,
    now_ms: int,
    progress: Callable[[str], None],
    training: Trained | None,
    upto: int = NEVER,
) -> Learned:
    onnx = to_onnx_bytes(calibration.ensemble, "anomaly")
    candidate = Candidate(onnx, bench.layout.digest, calibration.ensemble)
    progress("making the benchmark")
    _, champion = champion_of(bench)
    evidence = Evidence(
        bench.layout, champion, bench.benchmark(), feedback.held_out, feedback.trusted, bench.plan.threshold
    )
    progress("examining")
    gates = examined(candidate, evidence, bench.plan.gates)
    learned_upto = max((one.decided_ms for one in feedback.training.labels), default=upto)
    files: Mapping[str, bytes] = {
        "model.onnx": onnx,
        ENSEMBLE_FILE: ensemble_bytes(trained),
        CALIBRATION_FILE: belief_bytes(calibration.belief, calibration.factor, learned_upto),
        CARD_FILE: msgspec.json.encode(_card(bench, calibration, feedback, training)),
    }
    draft = Draft(bench.plan.model, origin, files, bench.layout.digest, lineage, gates, now_ms, actor)
    version = bench.registry.add(draft)
    return Learned(version, gates, _challenge(bench, version, actor), len(feedback.missing))


def _challenge(bench: Bench, version: ModelVersion, actor: str) -> bool:
    """A version that passed becomes challenger, unless another does so at the same time."""
    if not version.passed:
        return False
    name = bench.plan.model
    expected = bench.registry.aliases(name).points.get("challenger")
    try:
        bench.registry.move(
            name,
            "challenger",
            version.number,
            expected=expected,
            actor=actor,
            reason=f"{version.origin}, passed its gates",
        )
    except Changed:
        return False
    return True


def _card(
    bench: Bench, calibration: Recalibrated, feedback: Feedback, training: Trained | None
) -> dict[str, object]:
    rows = feedback.training
    worth = None if np.isnan(calibration.worth) else round(calibration.worth, 4)
    return {
        "sensors": list(bench.layout.sensors),
        "features": list(bench.layout.features),
        "seed": bench.plan.seed,
        "labels": {
            "learned_from": len(rows),
            "anomalous": int(rows.anomalous.sum()),
            "held_out": len(feedback.held_out),
            "left_out": dict(feedback.trusted.left_out),
            "without_window": list(feedback.missing),
            "agreement": feedback.trusted.agreement,
            "people": feedback.trusted.people,
        },
        "calibration": {
            "belief": calibration.belief.mean.tolist(),
            "factor": calibration.factor,
            "step": calibration.step,
            "surprise_worth_an_alert": worth,
        },
        "fitted_on": list(training.fitted) if training else None,
        "calibrated_on": list(training.calibrated) if training else None,
    }
