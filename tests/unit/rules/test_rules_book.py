"""The book of rules: what it accepts, what it refuses, and what it keeps."""

import asyncio
import json
from pathlib import Path

import pytest

from mesh.errors import MeshError, StoreAway
from mesh.records.memory_audit import MemoryLedger
from mesh.records.room_audits import RoomAudit
from mesh.rules.book import Book
from mesh.rules.memory import memory_book
from mesh.rules.opening import newest_rules, open_rules
from mesh.rules.ports import NoAudit
from mesh.rules.reading import Reader
from mesh.rules.stores import FileRulesStore, MemoryRulesStore
from mesh.rules.values import Accepted, Kept, Proposal, Refused
from mesh.settings import Settings
from mesh.spec import ModelSpec
from tests.fakes.waiting import eventually

MODELS = "models:\n  a: {runtime: identity}\n  b: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [a]}\n"
OTHER = "routes:\n  - {name: r, when: always, split: {a: 80, b: 20}}\n"
SECOND = MODELS + "  a@2: {runtime: identity}\n"


class Hosts:
    """Hosting that notes what it was asked for, and can refuse or take its time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hosted: list[str] = []
        self.released: list[str] = []
        self.dropped: list[str] = []
        self.failing: MeshError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def host(self, spec: ModelSpec) -> None:
        self.asked.append(spec.name)
        await self.gate.wait()
        if self.failing is not None:
            raise self.failing
        self.hosted.append(spec.name)

    def release(self, model: str) -> None:
        self.released.append(model)

    async def drop(self, model: str) -> None:
        self.dropped.append(model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = tmp_path / "config"
    config.mkdir()
    (config / "models.yaml").write_text(MODELS)
    (config / "routing.yaml").write_text(ROUTING)
    return config


def book_of(folder: Path, hosts: Hosts | None = None, store=None, audit=None) -> Book:
    reader, store = Reader(folder, Settings()), store or MemoryRulesStore()
    opening = open_rules(store.load(), reader, 7)
    return Book(opening, reader, store, hosts or Hosts(), audit or NoAudit(), lambda: 1_000)


async def test_it_begins_with_the_files(folder):
    now = await memory_book(folder).current()
    assert (now.version, now.actor, now.routing) == (1, "files", ROUTING)
    assert set(now.tables) == {"default"}


async def test_a_change_is_taken_kept_and_audited(folder):
    store, ledger = MemoryRulesStore(), MemoryLedger()
    book = book_of(folder, store=store, audit=RoomAudit(ledger))
    before = book.kept.current
    told = book.changed
    result = await book.propose(Proposal(routing=OTHER), 1, "ann")
    assert isinstance(result, Accepted)
    assert (result.revision.version, result.revision.actor, result.revision.at_ms) == (2, "ann", 1_000)
    assert result.revision.models == MODELS
    assert result.revision.tables != before.tables
    assert told.is_set()
    assert store.kept.current == result.revision
    assert store.kept.earlier[0] == before
    (logged,) = ledger.audit.entries()
    assert (logged.action, logged.target, logged.actor) == ("rules.change", "rules", "ann")
    assert json.loads(logged.detail) == {
        "before": f"version 1, rules {before.rules}",
        "after": f"version 2, rules {result.revision.rules}",
    }


async def test_the_same_again_is_no_new_version(folder):
    book = book_of(folder)
    result = await book.propose(Proposal(routing="# only a comment\n" + ROUTING), None, "ann")
    assert (result.changed, result.revision.version) == (False, 1)


async def test_another_version_by_now_is_a_conflict_that_names_who(folder):
    book = book_of(folder)
    await book.propose(Proposal(routing=OTHER), 1, "ann")
    result = await book.propose(Proposal(routing=ROUTING), 1, "bob")
    assert isinstance(result, Refused)
    assert (result.reason, result.version) == ("conflict", 2)
    assert "'ann' made it 2" in str(result)


async def test_every_mistake_is_named_with_line_and_key(folder):
    result = await book_of(folder).propose(
        Proposal(routing="routes:\n  - name: r\n    when: always\n    send: [c]\n", routing_name="mine.yaml"),
        None,
        "ann",
    )
    assert isinstance(result, Refused)
    (one,) = result.problems
    assert (one.file, one.line, one.key) == ("mine.yaml", 4, "routes[0].send[0]")


@pytest.mark.parametrize(
    ("models", "key"),
    [
        ("models:\n  a: {runtime: identity, version: '9'}\n  b: {runtime: identity}\n", "models.a.version"),
        (MODELS.replace("identity}\n  b", "identity, num_cpus: 0.5}\n  b"), "models.a.num_cpus"),
        (
            MODELS + "  c: {runtime: onnx, path: gone.onnx}\n",
            "models.c.path",
        ),
        (
            MODELS + f"  c: {{runtime: onnx, path: config/models.yaml, sha256: '{'0' * 64}'}}\n",
            "models.c.sha256",
        ),
        ("models:\n  b: {runtime: identity}\n", "routes[0].send[0]"),
    ],
)
async def test_a_hosted_version_stays_as_it_is_and_a_new_one_must_be_there(folder, models, key):
    hosts = Hosts()
    book = book_of(folder, hosts)
    result = await book.propose(Proposal(models=models), None, "ann")
    assert isinstance(result, Refused)
    assert key in {one.key for one in result.problems}
    assert hosts.hosted == []
    assert book.kept.current.version == 1


async def test_what_callers_alone_need_may_change_while_a_model_is_hosted(folder):
    models = MODELS.replace("a: {runtime: identity}", "a: {runtime: identity, timeout_s: 3}")
    result = await book_of(folder).propose(Proposal(models=models), None, "ann")
    assert isinstance(result, Accepted)
    assert result.changed


async def test_a_new_model_serves_before_the_change_is_taken(folder):
    hosts = Hosts()
    book = book_of(folder, hosts)
    hosts.gate.clear()
    asked = asyncio.create_task(book.propose(Proposal(models=SECOND), None, "ann"))
    await eventually(lambda: hosts.asked)
    await asyncio.sleep(0.05)
    assert book.kept.current.version == 1
    hosts.gate.set()
    result = await asked
    assert isinstance(result, Accepted)
    assert book.config.models["a@2"].version == "2"
    back = await book.propose(Proposal(models=MODELS), None, "ann")
    assert isinstance(back, Accepted)
    assert hosts.dropped == ["a@2"]


async def test_a_model_that_does_not_start_changes_nothing(folder):
    hosts = Hosts()
    hosts.failing = MeshError("it is corrupt")
    book = book_of(folder, hosts)
    result = await book.propose(Proposal(models=SECOND), None, "ann")
    assert isinstance(result, Refused)
    assert (result.reason, hosts.released) == ("model", ["a@2"])
    assert "models.a@2: did not start: it is corrupt" in str(result)
    assert hosts.dropped == ["a@2"]
    assert book.kept.current.version == 1


async def test_another_change_while_a_model_starts_is_checked_anew_or_a_conflict(folder):
    for expected, reason in ((None, None), (1, "conflict")):
        hosts = Hosts()
        book = book_of(folder, hosts)
        hosts.gate.clear()
        asked = asyncio.create_task(book.propose(Proposal(models=SECOND), expected, "ann"))
        await eventually(lambda hosts=hosts: hosts.asked)
        await book.propose(Proposal(routing=OTHER), 1, "bob")
        hosts.gate.set()
        result = await asked
        assert getattr(result, "reason", None) == reason
        assert book.kept.current.routing == OTHER
        assert ("a@2" in book.config.models) == (reason is None)
        assert hosts.dropped == ([] if reason is None else ["a@2"])
        assert hosts.released == hosts.hosted  # a hold for each round, and each given back


async def test_what_cannot_be_kept_is_not_taken(folder):
    class Away(MemoryRulesStore):
        def save(self, kept: Kept) -> None:
            raise StoreAway("the disk", "full")

    ledger = MemoryLedger()
    book = book_of(folder, store=Away(), audit=RoomAudit(ledger))
    result = await book.propose(Proposal(routing=OTHER), None, "ann")
    assert isinstance(result, Refused)
    assert result.reason == "store"
    assert book.kept.current.version == 1
    logged = [(one.action, one.actor, one.target) for one in ledger.audit.entries()]
    assert logged == [("rules.change", "ann", "rules"), ("rules.change.failed", "ann", "rules")]
    assert "full" in list(ledger.audit.entries())[1].detail


async def test_what_cannot_be_written_down_is_not_kept(folder):
    class Away(MemoryLedger):
        async def outside(self, change, act) -> None:
            raise StoreAway("the database of records", "gone")

    store = MemoryRulesStore()
    result = await book_of(folder, store=store, audit=RoomAudit(Away())).propose(
        Proposal(routing=OTHER), None, "ann"
    )
    assert isinstance(result, Refused)
    assert (result.reason, store.kept) == ("store", None)


async def test_the_newest_survives_and_a_file_changed_meanwhile_is_newer(folder, tmp_path):
    path = tmp_path / "kept" / "rules.json"
    settings = Settings(rules_store=str(path))
    store = FileRulesStore(path)
    book = book_of(folder, store=store)
    await book.propose(Proposal(routing=OTHER), None, "ann")
    assert newest_rules(folder, settings).rules_hash == book.kept.current.rules
    again = book_of(folder, store=store)
    assert again.kept.current == book.kept.current
    (folder / "routing.yaml").write_text(ROUTING.replace("name: r", "name: newer"))
    newer = book_of(folder, store=store)
    assert (newer.kept.current.version, newer.kept.current.actor) == (3, "files")
    assert newer.kept.earlier[0] == book.kept.current


@pytest.mark.parametrize("text", ["routes: [", "routes:\n  - {name: r, when: always, send: [gone]}\n"])
async def test_a_bad_file_at_the_start_leaves_what_was_kept(folder, text):
    store = MemoryRulesStore()
    await book_of(folder, store=store).propose(Proposal(routing=OTHER), None, "ann")
    (folder / "routing.yaml").write_text(text)
    book = book_of(folder, store=store)
    assert book.kept.current.routing == OTHER
    assert book.refused is not None
    assert book.refused.problems[0].line > 0


async def test_a_file_that_went_missing_says_nothing(folder):
    store = MemoryRulesStore()
    await book_of(folder, store=store).propose(Proposal(routing=OTHER), None, "ann")
    (folder / "routing.yaml").unlink()
    assert book_of(folder, store=store).kept.current.routing == OTHER
