"""What presses of a triage button come to: each for the item that it was pressed for, once."""

import httpx
import pytest
import streamlit as st

from serve.console import desk as of_desk
from serve.console.api import Caller, Mesh, client
from serve.console.desk import Desk, Done


class Queue:
    """The API of reviewing: items 1, 2, 3 and so on, each once."""

    def __init__(self) -> None:
        self.given, self.asked, self.log = 0, [], []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/review/next":
            self.given += 1
            return httpx.Response(200, json=case(str(self.given)))
        if path == "/audit":
            return httpx.Response(200, json={"entries": self.log})
        if request.method == "GET":
            return httpx.Response(200, json=case(path.rpartition("/")[2]))
        self.asked.append(path.removeprefix("/review/items/"))
        return httpx.Response(200, json={"held_by": "ann", "held_until": None})


def case(item):
    return {"item": {"id": item, "asset": f"pump-{item}"}, "evidence": "e"}


@pytest.fixture
def now(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(of_desk.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def world(now):
    st.session_state.clear()
    queue = Queue()
    desk = Desk(
        Mesh(client("http://mesh", httpx.MockTransport(queue.answer)), Caller("ann", "analyst", "token", "t"))
    )
    desk.fill()
    yield queue, desk
    st.session_state.clear()


def test_the_second_of_two_quick_presses_decides_nothing(world, now):
    queue, desk = world
    now[0] += 1.0
    desk.decide("1", "confirm")
    desk.decide("1", "confirm")  # the button of the item before was still there
    now[0] += 0.1
    desk.decide("2", "confirm")  # the next one's has come, and nobody can have read it
    assert queue.asked == ["1/decide"]
    now[0] += 1.0
    desk.decide("2", "confirm")
    assert queue.asked == ["1/decide", "2/decide"]


def test_two_quick_presses_take_back_one_decision(world, now):
    queue, desk = world
    for item in ("1", "2"):
        now[0] += 1.0
        desk.decide(item, "confirm")
    desk.undo(Done("item", "2", "Confirmed pump-2"))  # at once, as whoever sees that it was wrong
    desk.undo(Done("item", "2", "Confirmed pump-2"))
    now[0] += 0.1
    desk.undo(Done("item", "1", "Confirmed pump-1"))
    assert [one for one in queue.asked if one.endswith("/undo")] == ["2/undo"]
    now[0] += 1.0
    desk.undo(Done("item", "1", "Confirmed pump-1"))
    assert [one for one in queue.asked if one.endswith("/undo")] == ["2/undo", "1/undo"]


@pytest.mark.parametrize("verb", ["confirm", "override", "judge", "cannot_say", "skip", "escalate"])
def test_after_a_reload_whatever_was_said_last_can_be_taken_back(world, verb):
    queue, desk = world
    queue.log = [
        {"action": "review.lease", "target": "review:9"},
        {"action": f"review.{verb}", "target": "review:8"},
    ]
    st.session_state.clear()
    desk.fill()
    assert desk.last().id == "8"
