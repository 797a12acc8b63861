"""Vectorised answers are those of a plain loop, whatever the order in which rows became known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesh.stores.novelty import Novelty
from mesh.stores.point_in_time import NONE, PointInTime, Versions
from mesh.stores.sampling import last_of_each_period

SMALL = st.integers(0, 12)
ROWS = st.lists(st.tuples(st.integers(0, 2), SMALL, SMALL), max_size=40)
QUESTIONS = st.lists(st.tuples(st.integers(0, 3), SMALL, SMALL), min_size=1, max_size=20)


def plain(rows, question, ttl):
    entity, as_of, known_at = question
    best = None
    for number, (of, event, created) in enumerate(rows):
        if of != entity or event > as_of or created > known_at:
            continue
        if best is None or (event, created, number) > best:
            best = (event, created, number)
    return NONE if best is None or as_of - best[0] > ttl else best[2]


def columns(rows, width=3):
    return [np.array([row[i] for row in rows], np.int64) for i in range(width)]


@given(ROWS, QUESTIONS, st.integers(0, 12))
def test_point_in_time_is_the_plain_loop(rows, questions, ttl):
    found = PointInTime(Versions(*columns(rows))).find(*columns(questions), ttl)
    assert found.tolist() == [plain(rows, question, ttl) for question in questions]


@given(ROWS, QUESTIONS, st.integers(0, 12), st.tuples(st.integers(0, 2), SMALL, SMALL))
def test_what_becomes_known_later_changes_no_answer(rows, questions, ttl, late):
    """A row that was created after everything that is asked, as any later correction is."""
    later = (*late[:2], 13)
    index = PointInTime(Versions(*columns(rows))).find(*columns(questions), ttl)
    again = PointInTime(Versions(*columns([*rows, later]))).find(*columns(questions), ttl)
    assert index.tolist() == again.tolist()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=40), st.integers(1, 20))
def test_one_row_of_each_period_is_kept_and_it_is_the_newest(rows, period):
    entity, time = columns(rows, 2)
    kept = last_of_each_period(entity, time, period)
    newest = {}
    for of, at in rows:
        newest[of, at // period] = max(at, newest.get((of, at // period), at))
    found = [(of, at // period, at) for (of, at), stays in zip(rows, kept.tolist(), strict=True) if stays]
    assert sorted(found) == sorted((*key, at) for key, at in newest.items())
    # Thinning out again changes nothing, so a run that was cut short is simply made again.
    assert last_of_each_period(entity[kept], time[kept], period).all()


BATCHES = st.lists(st.lists(st.tuples(st.sampled_from("abc"), SMALL), max_size=10), max_size=6)


@given(BATCHES, st.integers(1, 3))
def test_what_is_held_for_new_is_new_however_little_is_remembered(batches, limit):
    """A table that is asked only about unsure rows ends up with each row once."""
    table: set[tuple[str, int]] = set()
    novelty = Novelty(-1, limit)
    for batch in batches:
        names, times = [row[0] for row in batch], np.array([row[1] for row in batch], np.int64)
        found = novelty.sort(names, times)
        known = {row for row in found.unsure.tolist() if batch[row] in table}
        for row in found.new.tolist():
            if row not in known:
                assert batch[row] not in table
                table.add(batch[row])
        novelty.note(names, times)
    assert table == {row for batch in batches for row in batch}
