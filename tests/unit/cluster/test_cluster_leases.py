from dataclasses import replace

from mesh.cluster.leases import IDLE_S, LEASE_S, SETTLE_S, Leases
from mesh.engine.replica import Replica
from mesh.routing.types import Signature

EPOCH = 1000


def replica(name: str, rows_waiting: int = 0) -> Replica:
    return Replica(
        name, "rules", "1", "node", f"/run/{name}", "127.0.0.1", 1, "s", Signature((), ()), rows_waiting
    )


def test_a_lease_ends_unless_it_is_renewed() -> None:
    leases = Leases(EPOCH, now=0.0)
    assert leases.renew(replica("a"), now=0.0)
    assert leases.renew(replica("b"), now=0.0)
    leases.renew(replica("a"), now=4.0)
    assert not leases.expire(now=LEASE_S - 0.01)
    assert leases.expire(now=LEASE_S)
    assert [r.replica_id for r in leases.replicas] == ["a"]


def test_load_alone_is_no_news_but_is_kept() -> None:
    leases = Leases(EPOCH, now=0.0)
    leases.renew(replica("a"), now=0.0)
    before = leases.revision
    assert not leases.renew(replica("a", rows_waiting=7), now=1.0)
    assert leases.revision == before
    assert leases.replicas[0].rows_waiting == 7


def test_a_new_address_is_news() -> None:
    leases = Leases(EPOCH, now=0.0)
    leases.renew(replica("a"), now=0.0)
    assert leases.renew(replace(replica("a"), port=2), now=1.0)


def test_release_ends_a_lease_once() -> None:
    leases = Leases(EPOCH, now=0.0)
    leases.renew(replica("a"), now=0.0)
    assert leases.release("a", now=1.0)
    assert not leases.release("a", now=1.0)
    assert leases.replicas == ()


def test_a_new_watcher_is_answered_at_once_and_then_on_change_only() -> None:
    leases = Leases(EPOCH, now=0.0)
    leases.renew(replica("a"), now=0.0)
    assert leases.news_for(0, now=0.1)
    known = leases.revision
    assert not leases.news_for(known, now=0.1)
    leases.renew(replica("b"), now=0.2)
    assert leases.news_for(known, now=0.2)


def test_a_watcher_of_an_earlier_life_waits_until_replicas_had_time_to_renew() -> None:
    leases = Leases(EPOCH, now=100.0)
    leases.renew(replica("a"), now=100.5)
    earlier = EPOCH - 17
    assert not leases.news_for(earlier, now=101.0)
    assert leases.settles_in(now=101.0) == SETTLE_S - 1.0
    assert leases.news_for(earlier, now=100.0 + SETTLE_S)
    assert leases.settles_in(now=200.0) == 0.0


def test_idle_only_when_empty_and_unused_for_a_minute() -> None:
    leases = Leases(EPOCH, now=0.0)
    leases.renew(replica("a"), now=0.0)
    assert not leases.idle(now=IDLE_S + 1)
    leases.release("a", now=10.0)
    assert not leases.idle(now=IDLE_S + 9)
    leases.news_for(0, now=30.0)
    assert not leases.idle(now=IDLE_S + 29)
    assert leases.idle(now=IDLE_S + 30)
