"""What shadows said, counted in a process and added up over all."""

import numpy as np
import pytest

from mesh.engine.compared import Offer, ShadowKey, compared
from mesh.routing.facts import LabelRule, ModelFacts
from mesh.routing.shadow import compare
from mesh.routing.steps import ShadowCall
from mesh.routing.types import Origin
from mesh.shadows.book import MemoryShadows, ShadowBook
from mesh.shadows.tally import KEPT, PAIRS, ShadowTally
from mesh.shadows.values import ShadowCounts
from serve.api.shadows import shadow_view

LABEL = LabelRule("p", "threshold", ("low", "high"), 0.5)
KEY = ShadowKey("default", "r", "a", "b")


def facts(name: str) -> ModelFacts:
    return ModelFacts(name, score=("p", 0), label=LABEL)


def told(primary, shadow, seconds=(0.010, 0.030)):
    mine, theirs = ({"p": np.array(values, np.float32)} for values in (primary, shadow))
    call = ShadowCall("b", np.arange(len(primary)), "r", mine, None, Origin("a", "1", "r", "primary"))
    ids = [f"id-{n}" for n in range(len(primary))]
    offer = Offer("default", call, ids, ["pump"] * len(ids), seconds[0], None, facts("a"), facts("b"))
    return compared(offer, theirs, "2", seconds[1], compare(mine, theirs, LABEL))


def test_counts_differences_and_examples_are_exact():
    tally = ShadowTally(lambda: 5)
    tally.compared(told([0.25, 0.75, 0.5], [0.75, 0.75, 0.25]))
    tally.missed(KEY, "failed", 4)
    tally.missed(KEY, "dropped", 2)
    news = tally.take()
    counts = news.counts[KEY]
    assert (counts.compared, counts.failed, counts.dropped, counts.disagreed) == (3, 4, 2, 2)
    assert (counts.score_rows, counts.score_sum, counts.score_abs_sum, counts.score_abs_max) == (
        3, 0.25, 0.75, 0.5,
    )  # fmt: skip
    assert counts.seconds_sum == pytest.approx(0.020)
    first, second = news.disagreements[KEY]
    assert (first.at_ms, first.id, first.key) == (5, "id-0", "pump")
    assert (first.primary.label, first.primary.score, first.shadow.label) == ("low", 0.25, "high")
    assert (first.primary.version, first.shadow.version, second.id) == ("1", "2", "id-2")
    assert [row.disagree for row in news.pairs[KEY]] == [True, False, True]


def test_a_score_that_is_no_number_is_left_out():
    tally = ShadowTally()
    tally.compared(told([np.nan, 0.5], [0.5, 0.5]))
    news = tally.take()
    assert news.counts[KEY].score_rows == 1
    assert np.isnan(news.pairs[KEY][0].primary_score)
    assert news.disagreements[KEY][0].primary.score is None


def test_one_answer_that_is_infinite_does_not_make_every_mean_so():
    tally = ShadowTally()
    tally.compared(told([0.5, np.inf, 0.5, np.inf], [np.inf, -np.inf, 0.75, np.inf]))
    counts = tally.take().counts[KEY]
    assert (counts.score_rows, counts.score_sum, counts.score_abs_sum, counts.score_abs_max) == (
        1, 0.25, 0.25, 0.25,
    )  # fmt: skip
    assert (counts.output_values, counts.output_abs_sum, counts.output_abs_max) == (2, 0.25, 0.25)
    assert counts.incomparable == 2


def test_examples_and_pairs_are_told_once_and_bounded():
    tally = ShadowTally()
    for _ in range(3):
        tally.compared(told([0.0] * 1_000, [1.0] * 1_000))
    news = tally.take()
    assert len(news.disagreements[KEY]) == KEPT
    assert len(news.pairs[KEY]) == PAIRS
    again = tally.take()
    assert again.counts[KEY].compared == 3_000
    assert not again.disagreements
    assert not again.pairs


def test_the_book_adds_processes_and_counts_nothing_twice():
    tallies, book = (ShadowTally(), ShadowTally()), ShadowBook()
    for number, tally in enumerate(tallies):
        tally.compared(told([0.0], [1.0]))
        news = tally.take()
        book.take(f"p{number}", 1, news)
        book.take(f"p{number}", 1, news)
    (report,) = book.reports()
    assert report.counts.compared == 2
    assert len(report.disagreements) == 2


def test_processes_that_come_and_go_take_no_more_room_and_what_they_counted_stays(monkeypatch):
    monkeypatch.setattr("mesh.shadows.book.PROCESSES", 3)
    tally, book = ShadowTally(), ShadowBook()
    tally.compared(told([0.0, 1.0], [1.0, 1.0]))
    news = tally.take()
    for number in range(50):
        book.take("stays", number + 1, news)
        book.take(f"p{number}", 1, news)
    (report,) = book.reports()
    assert report.counts.compared == 51 * 2
    assert len(book._told) == 3
    assert len(book._counts[KEY]) == 4


async def test_pairs_are_read_on_from_where_a_reader_stood():
    tally, book = ShadowTally(), ShadowBook()
    feed = MemoryShadows(book)
    tally.compared(told([0.0, 0.0], [1.0, 0.0]))
    book.take("p", 1, tally.take())
    first = await feed.pairs(KEY, 0)
    assert (len(first.rows), first.upto, first.lost) == (2, 2, 0)
    tally.compared(told([0.5], [0.5]))
    book.take("p", 2, tally.take())
    second = await feed.pairs(KEY, first.upto)
    assert (len(second.rows), second.upto) == (1, 3)
    anew = await feed.pairs(KEY, 99)
    assert len(anew.rows) == 3
    assert (await feed.pairs(ShadowKey("no", "no", "no", "no"), 0)).rows == ()


def test_the_view_says_null_where_there_is_nothing():
    tally = ShadowTally()
    tally.missed(KEY, "failed", 1)
    book = ShadowBook()
    book.take("p", 1, tally.take())
    view = shadow_view(book.reports()[0], 5)
    assert view.rows.disagreement is None
    assert view.score.mean is None
    assert view.latency_ms.primary.p50 is None


def test_latency_quantiles_are_a_fifth_too_high_at_most():
    tally = ShadowTally()
    for ms in range(1, 101):
        tally.compared(told([0.5], [0.5], (ms / 1e3, ms / 1e3)))
    book = ShadowBook()
    book.take("p", 1, tally.take())
    view = shadow_view(book.reports()[0], 0).latency_ms
    assert 50 <= view.primary.p50 <= 60
    assert 95 <= view.shadow.p95 <= 95 * 1.2
    assert view.mean_difference == pytest.approx(0)


def test_counts_add_up():
    both = ShadowCounts(compared=2, score_abs_max=0.5).plus(ShadowCounts(compared=3, score_abs_max=0.25))
    assert (both.compared, both.score_abs_max) == (5, 0.5)
