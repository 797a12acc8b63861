"""What people settled is what is learned from, over SQLite and PostgreSQL alike."""

from dataclasses import replace

import pytest

from mesh.alerts import Place
from mesh.learning.feedback.labels import Vote
from mesh.learning.feedback.reviewed import ReviewedLabels
from tests.fakes.reviewing import ANN, BEN, NOW, OLU, Desk, candidate, key


@pytest.fixture
def desk(database) -> Desk:
    return Desk(database)


def test_a_label_has_the_vote_of_everybody_it_rests_on_and_an_override_alone_is_none(desk):
    desk.add(candidate(1, place=Place("raw", 2, 41)), candidate(2))
    reader = ReviewedLabels(desk.database)
    desk.take_and_decide(key(1), ANN, "override", reason="known-behaviour")
    assert reader.decided(0, 1 << 62) == []
    began = desk.now
    desk.now += 5_000
    desk.take_and_decide(key(1), BEN, "override", reason="known-behaviour")
    (one,) = reader.decided(0, 1 << 62)
    assert (one.item, one.verdict, one.weight, one.audit) == (key(1), "normal", 1.0, False)
    assert sorted(one.votes, key=lambda vote: vote.actor) == [Vote("ann", "normal"), Vote("ben", "normal")]
    assert (one.topic, one.partition, one.offset) == ("raw", 2, 41)
    assert (one.shown_ms, one.decided_ms) == (began, began + 5_000)


def test_whoever_was_overruled_has_a_vote_too_and_one_that_was_taken_back_has_none(desk):
    desk.add(candidate(1, twice=True))
    desk.take_and_decide(key(1), ANN)
    began = desk.now
    desk.now += 1_000
    desk.take_and_decide(key(1), OLU, "override", reason="too-sensitive")
    (one,) = ReviewedLabels(desk.database).decided(0, 1 << 62)
    assert (one.verdict, one.votes) == ("normal", (Vote("ann", "anomalous"), Vote("olu", "normal")))
    assert (one.carriers, one.actors, one.shown_ms) == (("olu",), ("ann", "olu"), began + 1_000)
    desk.undo(key(1), ANN)
    (one,) = ReviewedLabels(desk.database).decided(0, 1 << 62)
    assert one.votes == (Vote("olu", "normal"),)


def test_the_random_audit_carries_its_weight_and_an_undone_label_is_gone(desk):
    desk.add(candidate(1, "audit", inclusion=0.02))
    desk.take_and_decide(key(1, "audit"), OLU, action="judge", label="anomaly")
    (one,) = ReviewedLabels(desk.database).decided(0, 1 << 62)
    assert (one.verdict, one.weight, one.audit) == ("anomalous", 50.0, True)
    desk.undo(key(1, "audit"), OLU)
    assert ReviewedLabels(desk.database).decided(0, 1 << 62) == []


def test_an_item_that_chance_was_sure_to_draw_and_a_row_without_an_alert_are_no_alerts(desk):
    quiet = replace(candidate(2).prediction, flagged=False)
    desk.add(candidate(1, "audit", inclusion=1.0), candidate(2, "unsure", prediction=quiet), candidate(3))
    desk.take_and_decide(key(1, "audit"), OLU, action="judge", label="normal")
    desk.take_and_decide(key(2, "unsure"), OLU)
    desk.take_and_decide(key(3), OLU)
    found = {one.item: (one.audit, one.flagged) for one in ReviewedLabels(desk.database).decided(0, 1 << 62)}
    assert found == {
        key(1, "audit"): (True, True), key(2, "unsure"): (False, False), key(3): (False, True),
    }  # fmt: skip


def test_labels_are_read_by_the_time_of_their_settling_over_pages(desk, monkeypatch):
    monkeypatch.setattr("mesh.learning.feedback.reviewed._PAGE", 2)
    desk.add(*(candidate(n) for n in range(1, 6)))
    for n in range(1, 6):
        desk.now = NOW + n
        desk.take_and_decide(key(n), OLU, "confirm")
    found = ReviewedLabels(desk.database).decided(NOW + 2, NOW + 5)
    assert [(one.item, one.decided_ms) for one in found] == [(key(n), NOW + n) for n in (2, 3, 4)]


def test_labels_of_rows_of_other_topics_and_of_requests_are_about_other_models(desk):
    places = (Place("hyperstream.raw", 0, 7), Place("hyperstream.inference", 0, 7), None)
    desk.add(*(candidate(n, place=place) for n, place in enumerate(places, 1)))
    for n in range(1, 4):
        desk.take_and_decide(key(n), OLU, "confirm")
    (one,) = ReviewedLabels(desk.database, "hyperstream.raw").decided(0, 1 << 62)
    assert one.item == key(1)
