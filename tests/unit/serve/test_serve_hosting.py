"""Models that come while the mesh runs: what is deleted, and what is not because somebody needs it again."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

import serve.hosting
from mesh.errors import MeshError, StoreAway
from mesh.rules.book import Book
from mesh.rules.opening import open_rules
from mesh.rules.ports import NoAudit
from mesh.rules.reading import Reader
from mesh.rules.stores import MemoryRulesStore
from mesh.rules.values import Accepted, Proposal, Refused
from mesh.settings import Settings
from serve.hosting import ServeHosting
from tests.fakes.waiting import eventually, turns

ROUTING = "routes:\n  - {name: r, when: always, send: [a]}\n"
ONE = "models:\n  a: {runtime: identity}\n"
OLD = ONE + "  old: {runtime: identity}\n"
BOTH = OLD + "  slow: {runtime: identity}\n"
DROP_S = 100.0
READY_S = 60.0


class Clock:
    """Time as hosting waits for it: what it waits for is over when the test says so, and looks come at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.late_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.late_s

    async def sleep(self, seconds: float) -> None:
        ends = self.now + seconds if seconds >= DROP_S else 0.0
        await asyncio.sleep(0.002)
        while self.now < ends:  # noqa: ASYNC110 - no event says that time passes
            await asyncio.sleep(0.002)

    def __getattr__(self, name: str):
        return getattr(asyncio, name)

    async def passes(self, drops: float) -> None:
        """So many times as long as a model is kept; what follows from that and needs no more time has followed."""
        await turns()  # what is to be deleted later has begun to wait
        self.now += drops * DROP_S
        await asyncio.sleep(0.02)
        await turns()


class Cluster:
    """Serve as far as hosting sees it: what is deployed serves once it may, what is deleted is gone once it may be."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.deployed: list[str] = []
        self.deleted: list[str] = []
        self.hosting: ServeHosting
        self.running = {"a"}
        self.ready = {"a", "old"}
        self.stays: set[str] = set()

    def deploy(self, app: str, spec, config_dir: str) -> None:
        self.deployed.append(spec.name)
        self.running.add(spec.name)

    def delete(self, app: str, blocking: bool) -> None:
        self.deleted.append(app.removeprefix("model."))
        self.running -= {*self.deleted[-1:]} - self.stays

    def status(self):
        return SimpleNamespace(applications={})

    def look(self) -> None:
        self.hosting._leases(tuple(SimpleNamespace(model=name) for name in self.running & self.ready))

    async def watch(self, _tell) -> None:
        while True:
            await asyncio.sleep(0.005)
            self.look()


@pytest.fixture
async def cluster(monkeypatch):
    made = Cluster()
    for name, value in {
        "asyncio": made.clock,
        "time": made.clock,
        "serve": made,
        "_deploy": made.deploy,
        "watch_directory": made.watch,
        "DROP_AFTER_S": DROP_S,
        "READY_S": READY_S,
    }.items():
        monkeypatch.setattr(serve.hosting, name, value)
    yield made
    for task in made.hosting._tasks:
        task.cancel()


@pytest.fixture
async def book(cluster, tmp_path) -> Book:
    (tmp_path / "models.yaml").write_text(ONE)
    (tmp_path / "routing.yaml").write_text(ROUTING)
    reader = Reader(tmp_path, Settings())
    cluster.hosting = ServeHosting(str(tmp_path), lambda model: model in made.config.models, {})
    made = Book(open_rules(None, reader, 0), reader, MemoryRulesStore(), cluster.hosting, NoAudit())
    assert isinstance(await made.propose(Proposal(models=OLD), None, "ann"), Accepted)
    return made


async def test_a_model_that_nobody_names_any_more_goes_after_a_while(cluster, book):
    await book.propose(Proposal(models=ONE), None, "ann")
    await cluster.clock.passes(0.9)
    assert cluster.deleted == []
    await cluster.clock.passes(0.2)
    await eventually(lambda: cluster.deleted)
    assert (cluster.deleted, dict(cluster.hosting.apps)) == (["old"], {})


async def test_a_model_that_is_dropped_again_has_its_whole_time_again(cluster, book):
    await book.propose(Proposal(models=ONE), None, "ann")
    await cluster.clock.passes(0.2)
    await book.propose(Proposal(models=OLD), None, "ann")
    await book.propose(Proposal(models=ONE), None, "ann")
    await cluster.clock.passes(0.85)  # the first drop's time is over
    assert cluster.deleted == []
    await cluster.clock.passes(1)
    await eventually(lambda: cluster.deleted)
    assert cluster.deleted == ["old"]


async def test_a_dropped_model_stays_while_a_change_that_names_it_is_being_accepted(cluster, book):
    await book.propose(Proposal(models=ONE), None, "ann")
    again = asyncio.create_task(book.propose(Proposal(models=BOTH), None, "ann"))
    await eventually(lambda: "slow" in cluster.deployed)
    await cluster.clock.passes(3)  # its time is over, and the other model loads still
    cluster.ready.add("slow")
    assert isinstance(await again, Accepted)
    await cluster.clock.passes(2)
    assert cluster.deleted == []
    assert set(cluster.hosting.apps) == {"old", "slow"}


async def test_a_refused_change_takes_no_model_from_another_that_is_being_accepted(
    cluster, book, monkeypatch
):
    await book.propose(Proposal(models=ONE), None, "ann")
    longer = asyncio.create_task(book.propose(Proposal(models=BOTH), None, "ann"))
    await eventually(lambda: "slow" in cluster.deployed)

    def away(_kept) -> None:
        raise StoreAway("the disk", "full")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(book._store, "save", away)
        assert isinstance(await book.propose(Proposal(models=OLD), None, "bob"), Refused)
    await cluster.clock.passes(3)
    cluster.ready.add("slow")
    assert isinstance(await longer, Accepted)
    assert cluster.deleted == []


async def test_a_model_whose_change_was_refused_goes_all_the_same(cluster, book):
    await book.propose(Proposal(models=ONE), None, "ann")
    refused = asyncio.create_task(book.propose(Proposal(models=BOTH), None, "ann"))
    await eventually(lambda: "slow" in cluster.deployed)
    await cluster.clock.passes(3)
    cluster.clock.late_s = READY_S + 1  # the slow one is given up
    assert isinstance(await refused, Refused)
    assert "old" not in cluster.deleted
    await cluster.clock.passes(3)
    await eventually(lambda: len(cluster.deleted) == 2)
    assert sorted(cluster.deleted) == ["old", "slow"]


async def test_a_model_that_is_being_deleted_does_not_count_as_one_that_serves(cluster, book):
    cluster.stays.add("old")  # its replica gives answers under way
    await book.propose(Proposal(models=ONE), None, "ann")
    await cluster.clock.passes(2)
    await eventually(lambda: cluster.deleted)
    assert cluster.deleted == ["old"]
    again = asyncio.create_task(book.propose(Proposal(models=OLD), None, "ann"))
    await cluster.clock.passes(1)
    assert not again.done()
    cluster.running.discard("old")
    assert isinstance(await again, Accepted)
    assert cluster.deployed == ["old", "old"]
    assert set(cluster.hosting.apps) == {"old"}


async def test_an_error_of_serve_lets_the_model_go(cluster, book, monkeypatch):
    def broken(*_) -> None:
        raise MeshError("no room")

    monkeypatch.setattr(serve.hosting, "_deploy", broken)
    assert isinstance(await book.propose(Proposal(models=BOTH), None, "ann"), Refused)
    assert not cluster.hosting._held


@pytest.mark.parametrize("call", ["_deploy", "status"])
async def test_a_change_is_refused_where_serve_hangs_and_the_next_is_taken(cluster, book, monkeypatch, call):
    hangs = threading.Event()
    place = serve.hosting if call == "_deploy" else cluster
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(serve.hosting, "READY_S", 0.05)
        meanwhile.setattr(place, call, lambda *_: hangs.wait(60))
        try:
            async with asyncio.timeout(20):
                refused = await book.propose(Proposal(models=BOTH), None, "ann")
        finally:
            hangs.set()
    assert "does not answer: nothing within" in str(refused)
    cluster.ready.add("slow")
    assert isinstance(await book.propose(Proposal(models=BOTH), None, "ann"), Accepted)
