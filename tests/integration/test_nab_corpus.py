"""The real corpus: its size, and the two detectors whose published scores need no detector."""

import os
from pathlib import Path

import numpy as np
import pytest

from mesh.learning.nab import LabelledSeries, read_corpus
from mesh.learning.nab_score import corpus_worth, read_profiles, scored_rows, sweep
from tests.fakes.machine import missing

ROOT = Path(__file__).resolve().parents[2]
NAB = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/nab"
PUBLISHED_RANDOM = 11.0
"""The benchmark's page; one draw varies by 3.6, and the benchmark's own results file holds a draw of 16.8."""


@pytest.fixture(scope="module")
def corpus() -> tuple[LabelledSeries, ...]:
    if not NAB.exists():
        missing(f"{NAB} is not there (set MESH_SHARED)")
    return read_corpus(NAB)


def test_the_corpus_is_whole(corpus: tuple[LabelledSeries, ...]) -> None:
    assert len(corpus) == 58
    assert sum(len(one.series) for one in corpus) == 365_558
    assert sum(len(one.windows) for one in corpus) == 116


def test_silence_scores_zero_under_every_profile(corpus: tuple[LabelledSeries, ...]) -> None:
    worth = corpus_worth(corpus)
    silent = scored_rows(corpus, [np.full(len(one.series), 0.5) for one in corpus])
    for profile in read_profiles(NAB / "config/profiles.json").values():
        assert sweep(worth, silent, profile).best() == (np.inf, 0.0)


def test_a_detection_at_each_window_s_first_row_scores_a_hundred(corpus: tuple[LabelledSeries, ...]) -> None:
    worth, perfect = corpus_worth(corpus), [np.zeros(len(one.series)) for one in corpus]
    for one, scores in zip(corpus, perfect, strict=True):
        scores[[window.first for window in one.windows]] = 1.0
    for profile in read_profiles(NAB / "config/profiles.json").values():
        assert sweep(worth, scored_rows(corpus, perfect), profile).at(1.0) == pytest.approx(100.0)


def test_a_random_detector_scores_as_published(corpus: tuple[LabelledSeries, ...]) -> None:
    worth, standard = corpus_worth(corpus), read_profiles(NAB / "config/profiles.json")["standard"]
    scores = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        drawn = scored_rows(corpus, [draw.random(len(one.series)) for one in corpus])
        scores.append(sweep(worth, drawn, standard).best()[1])
    assert np.mean(scores) == pytest.approx(PUBLISHED_RANDOM, abs=3)
