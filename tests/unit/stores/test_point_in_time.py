"""What was known when: by event time, created time, ttl and ties."""

import numpy as np
import pytest

from mesh.stores.point_in_time import NONE, PointInTime, Versions

FOREVER = np.iinfo(np.int64).max


def ask(rows, questions, ttl_ms=100):
    versions = Versions(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))
    asked = [np.array(column, np.int64) for column in zip(*questions, strict=True)]
    return PointInTime(versions).find(*asked, ttl_ms).tolist()


def test_the_newest_row_that_had_happened_answers():
    rows = [(0, 10, 10), (0, 30, 30), (0, 20, 20)]
    questions = [(0, 9, FOREVER), (0, 10, FOREVER), (0, 29, FOREVER), (0, 31, FOREVER)]
    assert ask(rows, questions) == [NONE, 0, 2, 1]


def test_a_row_that_became_known_later_is_not_seen():
    rows = [(0, 10, 10), (0, 20, 500)]
    assert ask(rows, [(0, 25, 499), (0, 25, 500)]) == [0, 1]


def test_a_correction_of_the_same_time_counts_from_when_it_was_made():
    rows = [(0, 10, 10), (0, 10, 40), (0, 10, 30)]
    assert ask(rows, [(0, 15, 29), (0, 15, 30), (0, 15, 41)]) == [0, 2, 1]


def test_of_equals_the_last_answers():
    assert ask([(0, 10, 10), (0, 10, 10)], [(0, 10, 10)]) == [1]


@pytest.mark.parametrize(("as_of", "answer"), [(110, 0), (111, NONE)])
def test_a_row_stands_for_its_ttl(as_of, answer):
    assert ask([(0, 10, 10)], [(0, as_of, FOREVER)]) == [answer]


def test_an_old_row_does_not_stand_in_for_one_that_was_not_known():
    """The row before the unknown one is past its ttl: no answer rather than a wrong one."""
    assert ask([(0, 10, 10), (0, 190, 900)], [(0, 200, 300)]) == [NONE]


def test_entities_do_not_answer_for_each_other():
    rows = [(0, 10, 10), (2, 10, 10)]
    assert ask(rows, [(1, 50, FOREVER), (2, 50, FOREVER), (0, 50, FOREVER), (7, 50, FOREVER)]) == [
        NONE,
        1,
        0,
        NONE,
    ]


def test_no_rows_answer_nothing():
    empty = np.empty(0, np.int64)
    found = PointInTime(Versions(empty, empty, empty)).find(*(np.zeros(3, np.int64),) * 3, 10)
    assert found.tolist() == [NONE] * 3
