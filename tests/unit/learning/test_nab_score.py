"""The benchmark's scorer on series small enough to work out by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mesh.learning.nab import (
    LabelledSeries,
    Series,
    Window,
    locate,
    probation,
    read_corpus,
    read_series,
    read_windows,
)
from mesh.learning.nab_report import report
from mesh.learning.nab_score import Profile, corpus_worth, read_profiles, row_worth, scored_rows, sweep

STANDARD = Profile(hit=1.0, miss=1.0, false_alarm=0.11)


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


def labelled(rows: int, *windows: Window, name: str = "cat/a.csv") -> LabelledSeries:
    return LabelledSeries(name, Series(tuple(map(str, range(rows))), np.zeros(rows)), windows)


def score_of(
    corpus: list[LabelledSeries], scores: list[np.ndarray], threshold: float, profile: Profile
) -> float:
    """The definition, row by row: the slow way to the number that `sweep` finds."""
    raw = 0.0
    for one, score in zip(corpus, scores, strict=True):
        inside, worth = row_worth(len(one.series), one.windows)
        found = (score >= threshold) & (np.arange(len(score)) >= probation(len(score)))
        raw += profile.false_alarm * worth[found & (inside < 0)].sum()
        for number in range(len(one.windows)):
            hits = worth[found & (inside == number)]
            raw += max((profile.hit * hit for hit in hits), default=-profile.miss)
    windows = sum(len(one.windows) for one in corpus)
    return 100 * (raw + profile.miss * windows) / ((profile.hit + profile.miss) * windows)


def test_reads_a_series_and_an_empty_value_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,value\n2014-02-14 14:30:00,1.5\n2014-02-14 14:35:00,\n")
    series = read_series(path)
    assert series.timestamps == ("2014-02-14 14:30:00", "2014-02-14 14:35:00")
    assert series.values[0] == 1.5
    assert np.isnan(series.values[1])


@pytest.mark.parametrize(
    "text", ["", "time,value\n", "timestamp,value\nonly\n", "timestamp,value\n2014,high\n"]
)
def test_a_file_that_is_no_series_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"expected|could not convert"):
        read_series(path)


def test_windows_are_located_by_their_timestamps_to_the_second(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_text(json.dumps({"cat/a.csv": [["2014-01-01 00:00:00.000000", "2014-01-01 00:00:02.000000"]]}))
    limits = read_windows(path)["cat/a.csv"]
    times = ["2013-12-31 23:59:59", "2014-01-01 00:00:00", "2014-01-01 00:00:02", "2014-01-01 00:00:02"]
    assert locate(times, limits) == (Window(1, 2),)
    with pytest.raises(ValueError, match="not in"):
        locate(times[:2], limits)


def test_windows_that_are_no_object_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="expected an object"):
        read_windows(path)


def test_a_corpus_is_read_in_order_of_names(tmp_path: Path) -> None:
    for name in ("b/x.csv", "a/y.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text("timestamp,value\n2014-02-14 14:30:00,1\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/combined_windows.json").write_text(json.dumps({"b/x.csv": [], "a/y.csv": []}))
    assert [(one.name, one.category, len(one.series)) for one in read_corpus(tmp_path)] == [
        ("a/y.csv", "a", 1),
        ("b/x.csv", "b", 1),
    ]


def test_profiles_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "profiles.json"
    path.write_text(
        '{"p": {"CostMatrix": {"tpWeight": 1.0, "fnWeight": 2.0, "fpWeight": 0.1, "tnWeight": 1.0}}}'
    )
    assert read_profiles(path) == {"p": Profile(1.0, 2.0, 0.1)}


@pytest.mark.parametrize(
    ("rows", "skipped"), [(100, 15), (1127, 169), (4032, 604), (5000, 750), (22695, 750)]
)
def test_the_probation_is_a_share_with_a_limit(rows: int, skipped: int) -> None:
    assert probation(rows) == skipped


def test_a_row_is_worth_less_the_later_it_stands_in_a_window_and_costs_more_the_farther_behind() -> None:
    inside, worth = row_worth(100, (Window(20, 29),))
    assert inside.tolist() == [-1] * 20 + [0] * 10 + [-1] * 70
    assert worth[19] == -1
    assert worth[20] == 1
    assert worth[29] == pytest.approx(sigmoid(-0.1) / sigmoid(-1))
    assert worth[30] == pytest.approx(sigmoid(1 / 9))
    assert worth[29 + 27] == pytest.approx(sigmoid(3))
    assert worth[29 + 28 :].tolist() == [-1] * 43


def test_silence_is_zero_and_perfection_a_hundred() -> None:
    corpus = [labelled(100, Window(20, 29), Window(60, 69))]
    scores = [np.zeros(100)]
    scores[0][[20, 60]] = 1.0
    swept = sweep(corpus_worth(corpus), scored_rows(corpus, scores), STANDARD)
    assert swept.at(1.1) == 0
    assert swept.best() == (1.0, pytest.approx(100.0))
    assert swept.at(0.5) == pytest.approx(100.0)


def test_a_missed_window_costs_what_the_profile_says() -> None:
    corpus = [labelled(100, Window(20, 29), Window(60, 69))]
    scores = [np.where(np.arange(100) == 20, 1.0, 0.0)]
    for profile in (STANDARD, Profile(1.0, 2.0, 0.11)):
        swept = sweep(corpus_worth(corpus), scored_rows(corpus, scores), profile)
        assert swept.at(1.0) == pytest.approx(50)


def test_rows_of_the_probation_neither_earn_nor_cost() -> None:
    corpus = [labelled(100, Window(20, 29))]
    scores = [np.where(np.arange(100) < 15, 1.0, 0.0)]
    assert sweep(corpus_worth(corpus), scored_rows(corpus, scores), STANDARD).at(1.0) == 0


def test_the_sweep_agrees_with_the_definition_at_every_threshold() -> None:
    draw = np.random.default_rng(5)
    corpus = [labelled(80, Window(30, 34), Window(60, 70)), labelled(50), labelled(40, Window(10, 20))]
    scores = [np.round(draw.random(len(one.series)), 1) for one in corpus]
    for profile in (STANDARD, Profile(1.0, 1.0, 0.22), Profile(1.0, 2.0, 0.11)):
        swept = sweep(corpus_worth(corpus), scored_rows(corpus, scores), profile)
        for threshold, score in zip(swept.thresholds, swept.scores, strict=True):
            assert score == pytest.approx(score_of(corpus, scores, threshold, profile))
        assert swept.at(0.55) == pytest.approx(score_of(corpus, scores, 0.55, profile))


def test_a_missing_score_is_never_detected() -> None:
    corpus = [labelled(100, Window(20, 29))]
    swept = sweep(corpus_worth(corpus), scored_rows(corpus, [np.full(100, np.nan)]), STANDARD)
    assert swept.best() == (math.inf, 0.0)


def test_other_than_one_score_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cat/a.csv: expected 10 scores"):
        scored_rows([labelled(10)], [np.zeros(9)])


def test_a_report_tells_tuned_from_rest_and_judges_with_thresholds_of_others() -> None:
    corpus = [
        labelled(100, Window(20, 29), name="realAWSCloudwatch/a.csv"),
        labelled(100, Window(50, 59), name="realTweets/b.csv"),
        labelled(100, name="artificialNoAnomaly/c.csv"),
    ]
    scores = [np.zeros(100), np.zeros(100), np.zeros(100)]
    scores[0][20], scores[1][50], scores[2][40] = 0.9, 0.5, 0.4
    got = report(corpus, scores, {"standard": STANDARD}, fixed=0.3)
    assert (got.series, got.rows, got.windows, got.fixed_threshold) == (3, 300, 2, 0.3)
    marks = {part: one["standard"] for part, one in got.marks.items()}
    assert set(marks) == {
        *("all", "tuned", "rest", "realAWSCloudwatch", "realTweets", "artificialNoAnomaly"),
    }
    assert (marks["all"].threshold, marks["all"].best) == (0.5, pytest.approx(100))
    assert (marks["rest"].best, marks["rest"].tuned) == (pytest.approx(100), 0)
    assert marks["tuned"].fixed == pytest.approx(100 * (2 - 0.11) / 2)
    assert marks["artificialNoAnomaly"].fixed == pytest.approx(-0.11)
