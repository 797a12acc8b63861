"""How far a client has read, what waits for it, and what it may cost: without sockets, with time as an argument."""

import pytest

from mesh.errors import InvalidConfig, StoreAway
from serve.graphql.flow import Flow, FlowPolicy
from serve.graphql.inbox import Inbox
from serve.graphql.limits import Connections, Limits

POLICY = FlowPolicy(ping_s=10, pong_s=20, unread=8, unread_bytes=1_000)


def test_a_ping_is_due_after_a_quarter_of_what_may_be_unread_or_after_a_while():
    flow = Flow(POLICY, 0)
    flow.sent(1)
    assert not flow.ping_due(9)
    assert flow.ping_due(10)
    flow.sent(1)
    assert flow.ping_due(0)
    flow.pinged(0)
    assert not flow.ping_due(1)
    flow.sent(250)
    assert flow.ping_due(1)


def test_there_is_no_room_until_a_pong_says_what_was_read():
    flow = Flow(POLICY, 0)
    for number in range(8):
        assert flow.room
        flow.sent(10)
        if number == 3:
            flow.pinged(1)
    assert not flow.room
    flow.ponged()  # the four before the ping
    assert flow.room
    flow.sent(960)
    assert not flow.room  # by bytes


def test_a_pong_that_nobody_asked_for_says_nothing():
    flow = Flow(POLICY, 0)
    for _ in range(8):
        flow.sent(1)
    flow.ponged()
    assert not flow.room


def test_the_oldest_ping_counts():
    flow = Flow(POLICY, 0)
    assert not flow.overdue(1_000)  # nothing was asked
    flow.pinged(5)
    flow.pinged(15)
    assert not flow.overdue(24.9)
    assert flow.overdue(25)
    flow.ponged()
    assert not flow.overdue(34)
    assert flow.overdue(35)


async def test_an_inbox_gives_what_it_took_in_order_and_ends_when_it_was_full():
    inbox = Inbox(3)
    for number in range(5):
        inbox.put(number)
    assert [item async for item in inbox.items()] == [0, 1, 2]
    assert inbox.full


async def test_an_inbox_gives_what_waits_before_it_fails():
    inbox = Inbox(3)
    inbox.put("a")
    inbox.fail(StoreAway("the log", "gone"))
    inbox.put("b")  # too late
    items = inbox.items()
    assert await anext(items) == "a"
    with pytest.raises(StoreAway, match="gone"):
        await anext(items)


def test_connections_are_counted_of_each_client_and_of_all():
    connections = Connections(Limits(connections=3, connections_per_client=2))
    assert [connections.enter("a") for _ in range(2)] == [None, None]
    assert "this client: the limit is 2" in connections.enter("a")
    assert connections.enter("b") is None
    assert "too many connections: 3" in connections.enter("c")
    connections.leave("a")
    assert connections.enter("c") is None
    assert connections.total == 3


def test_limits_come_from_the_environment_and_mistakes_name_the_variable():
    found = Limits.from_environ(
        {
            "MESH_GRAPHQL_WAITING": "5",
            "MESH_GRAPHQL_IDLE_S": "60",
            "MESH_GRAPHQL_ORIGINS": "https://a.example, https://b.example",
        }
    )
    assert (found.waiting, found.idle_s, found.connections) == (5, 60.0, Limits().connections)
    assert found.origins == ("https://a.example", "https://b.example")
    assert Limits.from_environ({}) == Limits()
    for text in ("0", "-1", "many", "1.5"):
        with pytest.raises(InvalidConfig, match="MESH_GRAPHQL_CONNECTIONS"):
            Limits.from_environ({"MESH_GRAPHQL_CONNECTIONS": text})
