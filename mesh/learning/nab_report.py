"""How well does the detector do on the Numenta benchmark? Scores for every profile, over all series and parts of them.

The detector's settings were chosen by the score of the categories `TUNED`, so the rest tells more about what they are
worth elsewhere. It is no untouched test set: its scores were seen while members were compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mesh.detection.detector import fixed_threshold, score_together
from mesh.detection.settings import Settings
from mesh.learning.nab import LabelledSeries, read_corpus
from mesh.learning.nab_score import Profile, Sweep, corpus_worth, read_profiles, scored_rows, sweep

TUNED: Final = ("artificialNoAnomaly", "artificialWithAnomaly", "realAWSCloudwatch")


@dataclass(frozen=True, slots=True)
class Marks:
    """Normalised scores of one part of the corpus under one profile: 0 for silence, 100 for perfection.

    `best` is with the threshold that suits this part best, which is `threshold`; `shared` with the one that suits all
    series best, as published scores have it; `tuned` with the one that suits the part `tuned` best; `fixed` with one
    that needed no labels. A part without windows is not normalised: minus the cost of its false alarms.
    """

    threshold: float
    best: float
    shared: float
    tuned: float
    fixed: float


@dataclass(frozen=True, slots=True)
class Report:
    """`marks` by part and profile. Parts are `all`, `tuned`, `rest` and every category."""

    series: int
    rows: int
    windows: int
    fixed_threshold: float
    marks: Mapping[str, Mapping[str, Marks]]


def nab_report(root: Path, settings: Settings | None = None) -> Report:
    """Run the detector over the data set in this folder, every series from its first row, and score it.

    Raises as `read_corpus` and `read_profiles`.
    """
    chosen = settings or Settings()
    corpus = read_corpus(root)
    scores = score_together([one.series.values for one in corpus], chosen)
    return report(corpus, scores, read_profiles(root / "config/profiles.json"), fixed_threshold(chosen))


def report(
    corpus: Sequence[LabelledSeries],
    scores: Sequence[np.ndarray],
    profiles: Mapping[str, Profile],
    fixed: float,
) -> Report:
    """Score any detector: float64 [N] for each series of N rows, and a threshold that was fixed without labels."""
    parts = {part: _sweeps(corpus, scores, profiles, wanted) for part, wanted in _parts(corpus).items()}
    marks = {
        part: {
            profile: _marks(one, parts["all"][profile], parts["tuned"][profile], fixed)
            for profile, one in swept.items()
        }
        for part, swept in parts.items()
    }
    return Report(
        series=len(corpus),
        rows=sum(len(one.series) for one in corpus),
        windows=sum(len(one.windows) for one in corpus),
        fixed_threshold=fixed,
        marks=marks,
    )


def _parts(corpus: Sequence[LabelledSeries]) -> Mapping[str, frozenset[str]]:
    """The categories of every part."""
    categories = frozenset(one.category for one in corpus)
    single = {category: frozenset((category,)) for category in sorted(categories)}
    return {
        "all": categories,
        "tuned": categories & frozenset(TUNED),
        "rest": categories - frozenset(TUNED),
    } | single


def _sweeps(
    corpus: Sequence[LabelledSeries],
    scores: Sequence[np.ndarray],
    profiles: Mapping[str, Profile],
    categories: frozenset[str],
) -> Mapping[str, Sweep]:
    kept = [(one, score) for one, score in zip(corpus, scores, strict=True) if one.category in categories]
    series = [one for one, _ in kept]
    worth, flat = corpus_worth(series), scored_rows(series, [score for _, score in kept])
    return {name: sweep(worth, flat, profile) for name, profile in profiles.items()}


def _marks(part: Sweep, every: Sweep, tuned: Sweep, fixed: float) -> Marks:
    threshold, best = part.best()
    return Marks(
        threshold=threshold,
        best=best,
        shared=part.at(every.best()[0]),
        tuned=part.at(tuned.best()[0]),
        fixed=part.at(fixed),
    )
