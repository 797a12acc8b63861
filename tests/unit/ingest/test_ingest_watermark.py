"""How far a partition is done, and the ledger of all partitions."""

import threading

import pytest

from ingest.ledger import Ledger
from ingest.record import Span
from ingest.watermark import Watermark


def test_the_position_moves_past_what_is_contiguously_done() -> None:
    mark = Watermark()
    first, second, third = Span(0, 5, 6, 2), Span(0, 7, 9, 3), Span(0, 10, 10, 1)
    for span in (first, second, third):
        assert mark.open(span) == 0
    assert mark.position == 5
    assert not mark.complete(third)
    assert not mark.complete(second)
    assert (mark.position, mark.open_records, mark.open_spans) == (5, 2, 3)
    assert mark.complete(first)
    assert (mark.position, mark.open_records, mark.open_spans) == (11, 0, 0)


def test_holes_are_counted_and_passed() -> None:
    mark = Watermark(10)
    assert mark.open(Span(0, 13, 17, 3)) == 5
    mark.complete(span := Span(0, 18, 18, 1))
    assert mark.position == 10
    assert mark.open(span) == 0


def test_offsets_that_go_back_are_refused() -> None:
    mark = Watermark(10)
    with pytest.raises(ValueError, match="comes after"):
        mark.open(Span(0, 9, 9, 1))


def test_abandoned_spans_change_nothing_when_they_complete() -> None:
    mark = Watermark(0)
    done, late = Span(0, 0, 4, 5), Span(0, 5, 9, 5)
    mark.open(done)
    mark.open(late)
    mark.complete(done)
    assert mark.abandon() == 5
    assert late.abandoned
    assert not done.abandoned
    assert mark.position == 5


def test_a_ledger_commits_what_moved_and_only_once() -> None:
    ledger = Ledger(10)
    ledger.assign(0, 100)
    ledger.assign(1, None)
    a, b = ledger.open(0, 100, 109, 10), ledger.open(1, 7, 7, 1)
    assert a is not None
    assert b is not None
    assert ledger.due() == {1: 7}
    ledger.complete([a.span])
    assert ledger.due() == {0: 110, 1: 7}
    ledger.committed({0: 110, 1: 7})
    assert not ledger.due()
    assert ledger.open_records == 1


def test_records_of_a_partition_that_moved_away_are_dropped() -> None:
    ledger = Ledger(10)
    assert ledger.open(3, 0, 1, 2) is None
    ledger.assign(3, 0)
    opened = ledger.open(3, 0, 1, 2)
    assert opened is not None
    assert ledger.revoke([3]) == 2
    assert opened.span.abandoned
    ledger.complete([opened.span])
    assert (ledger.partitions, dict(ledger.due())) == ((), {})


def test_a_topic_that_was_made_anew_begins_anew() -> None:
    ledger = Ledger(10)
    ledger.assign(0, 500)
    opened = ledger.open(0, 0, 4, 5)
    assert opened is not None
    assert opened.went_back
    ledger.complete([opened.span])
    assert ledger.due() == {0: 5}


def test_a_full_window_says_so() -> None:
    ledger = Ledger(2)
    ledger.assign(0, 0)
    first = ledger.open(0, 0, 0, 1)
    second = ledger.open(0, 1, 1, 1)
    assert first is not None
    assert second is not None
    ledger.complete([second.span])
    assert ledger.full
    ledger.complete([first.span])
    assert not ledger.full


def test_waiting_ends_when_all_is_done_or_time_runs_out() -> None:
    ledger = Ledger(10)
    ledger.assign(0, 0)
    opened = ledger.open(0, 0, 9, 10)
    assert opened is not None
    assert not ledger.wait([0], 0.01)
    timer = threading.Timer(0.02, ledger.complete, [[opened.span]])
    timer.start()
    assert ledger.wait([0, 99], 20.0)
    timer.join()
