"""Whether an undo gives an item back to the person whose decision is undone."""

import pytest

from mesh.review.queue import NothingWaits
from mesh.review.rules import MINUTE_MS
from tests.fakes.reviewing import ANN, Desk, candidate, key


@pytest.fixture
def desk(database) -> Desk:
    desk = Desk(database)
    desk.add(candidate(1, twice=True))
    return desk


@pytest.mark.parametrize("action", ["tag", "skip"])
def test_who_judged_an_item_does_not_get_it_back_by_undoing_what_came_before(desk, action):
    said = {"tags": ("bearing",)} if action == "tag" else {}
    first = desk.take_and_decide(key(1), ANN, action, **said).decision
    desk.take_and_decide(key(1), ANN, "confirm")
    desk.undo(key(1), ANN, decision=first.id)
    with pytest.raises(NothingWaits):
        desk.next(ANN)
    desk.undo(key(1), ANN)  # the judgement itself
    assert desk.next(ANN).id == key(1)


def test_to_undo_a_tag_leaves_a_skip_as_it_is(desk):
    tag = desk.take_and_decide(key(1), ANN, "tag", tags=("bearing",)).decision
    desk.decide(key(1), ANN, "skip")
    desk.undo(key(1), ANN, decision=tag.id)
    desk.now += MINUTE_MS
    with pytest.raises(NothingWaits):
        desk.next(ANN)
