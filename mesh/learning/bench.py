"""What a training needs, at hand: the plan, the labels, the history, the benchmark, the registry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mesh.learning.anomaly.stored import read_ensemble
from mesh.learning.anomaly.study import Trial
from mesh.learning.anomaly.windows import Layout, WindowSet
from mesh.learning.feedback.guard import Trusted, trusted
from mesh.learning.feedback.labels import AdjudicatedLabels
from mesh.learning.feedback.training_set import History, LabelledRows, labelled_rows
from mesh.learning.gates import Candidate
from mesh.learning.online.recalibrate import read_belief, scaled
from mesh.learning.plan import LearningPlan
from mesh.registry import ModelVersion, Registry

ENSEMBLE_FILE = "ensemble.npz"
CALIBRATION_FILE = "calibration.npz"
CARD_FILE = "card.json"


@dataclass(frozen=True, slots=True)
class Bench:
    """`history` is None where there is none; `shipped` is the model that serves before there is a champion.

    `simulated` makes healthy windows of machines that were never real, `benchmark` the frozen benchmark; both take a while.
    """

    plan: LearningPlan
    layout: Layout
    labels: AdjudicatedLabels
    history: History | None
    registry: Registry
    benchmark: Callable[[], Trial]
    simulated: Callable[[], WindowSet | None]
    shipped: bytes | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """The labels that count, whose they are, those to learn from, those held out, and the ids of those without a window."""

    trusted: Trusted
    training: LabelledRows
    held_out: LabelledRows
    missing: tuple[str, ...]


def feedback_of(bench: Bench, after_ms: int, now_ms: int) -> Feedback:
    """From labels settled after `after_ms` and before `now_ms`; the guard sees all of the last `replay.days`."""
    begin = now_ms - bench.plan.replay.days * 86_400_000
    judged = trusted(bench.labels.decided(begin, now_ms), bench.plan.feedback)
    chosen = [one for one in judged.labels if one.decided_ms > after_ms]
    if bench.history is None:
        rows, missing = _none(bench.layout), tuple(one.id for one in chosen)
    else:
        rows, missing = labelled_rows(chosen, bench.history, bench.layout)
    training, held_out = rows.split(bench.plan.feedback.holdout)
    return Feedback(judged, training, held_out, missing)


def champion_of(bench: Bench) -> tuple[ModelVersion | None, Candidate | None]:
    """What serves now: the registry's champion, else the model that was shipped, else nothing."""
    if "champion" not in bench.registry.aliases(bench.plan.model).points:
        shipped = bench.shipped
        return None, None if shipped is None else Candidate(shipped, bench.layout.digest)
    version = bench.registry.get(bench.plan.model, "champion")
    return version, candidate_of(bench.registry, version)


def candidate_of(registry: Registry, version: ModelVersion) -> Candidate:
    """A version as it is served, with its float64 original where it has one."""
    ensemble = None
    if ENSEMBLE_FILE in version.files:
        ensemble = read_ensemble(registry.file(version, ENSEMBLE_FILE))
        if CALIBRATION_FILE in version.files:
            _, factor, _ = read_belief(registry.file(version, CALIBRATION_FILE))
            ensemble = scaled(ensemble, factor)
    return Candidate(registry.file(version), version.features, ensemble)


def _none(layout: Layout) -> LabelledRows:
    shape = (0, len(layout.sensors), len(layout.features))
    return LabelledRows((), np.empty(shape, np.float32), np.empty(0, np.bool_), np.empty(0))
