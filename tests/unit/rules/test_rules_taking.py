"""What becomes of changed files while what keeps the rules is away, and of those that are wrong."""

import logging
from pathlib import Path

import pytest

from mesh.errors import StoreAway
from mesh.rules.book import Book
from mesh.rules.files import POLL_S, FileWatch
from mesh.rules.opening import open_rules
from mesh.rules.ports import HostedElsewhere, NoAudit
from mesh.rules.reading import Reader
from mesh.rules.stores import MemoryRulesStore
from mesh.rules.taking import take_files
from mesh.rules.values import Kept, Refused
from mesh.settings import Settings

MODELS = "models:\n  a: {runtime: identity}\n  b: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [a]}\n"
OTHER = ROUTING.replace("[a]", "[b]")
WRONG = ROUTING.replace("[a]", "[gone]")


class Store(MemoryRulesStore):
    """Keeps nothing while it has something to raise."""

    failing: Exception | None = None

    def save(self, kept: Kept) -> None:
        if self.failing is not None:
            raise self.failing
        super().save(kept)


class Desk:
    """The watch's loop, without waiting between looks."""

    def __init__(self, folder: Path) -> None:
        self.reader, self.store = Reader(folder, Settings()), Store()
        self.book = Book(
            open_rules(None, self.reader, 0), self.reader, self.store, HostedElsewhere(), NoAudit()
        )
        self.watch = FileWatch(folder, dict(self.book.kept.seen))
        self.tries: list[int] = []

    async def look(self, times: int) -> None:
        for number in range(times):
            if self.watch.stirred() and await take_files(self.book, self.reader, self.watch) is not None:
                self.tries.append(number)

    @property
    def waits(self) -> list[int]:
        return [after - before for before, after in zip(self.tries, self.tries[1:], strict=False)]


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text(ROUTING)
    made = Desk(tmp_path)
    await made.look(3)
    assert made.tries == []
    return made


AWAY = (StoreAway("Redis", "connection refused"), RuntimeError("a bug"))


@pytest.mark.parametrize("failing", AWAY, ids=["away", "unexpected"])
async def test_a_file_that_could_not_be_kept_is_taken_once_it_can_be(desk, tmp_path, caplog, failing):
    (tmp_path / "routing.yaml").write_text(OTHER)
    desk.store.failing = failing
    with caplog.at_level(logging.WARNING):
        await desk.look(20)
    assert len(desk.tries) == 3
    assert str(failing) in str(desk.book.refused)
    assert [str(failing) in one.message for one in caplog.records] == [True]
    desk.store.failing = None
    await desk.look(20)
    assert (desk.book.kept.current.routing, desk.book.refused) == (OTHER, None)
    assert set(desk.store.kept.seen) == {"routing.yaml", "models.yaml"}
    tries = len(desk.tries)
    await desk.look(200)
    assert len(desk.tries) == tries


async def test_tries_come_after_a_second_and_at_last_every_half_minute(desk, tmp_path):
    (tmp_path / "routing.yaml").write_text(OTHER)
    desk.store.failing = AWAY[0]
    await desk.look(500)
    seconds = [wait * POLL_S for wait in desk.waits]
    assert 1 <= seconds[0] < 1.5
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(30)


async def test_a_change_that_lost_to_others_is_proposed_again(desk, tmp_path, monkeypatch):
    async def lost(*_) -> Refused:
        return Refused("conflict", (), 1)

    (tmp_path / "routing.yaml").write_text(OTHER)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(desk.book, "propose", lost)
        await desk.look(3)
    await desk.look(4)
    assert desk.book.kept.current.routing == OTHER


async def test_a_wrong_file_is_proposed_once_and_mended_at_once(desk, tmp_path):
    (tmp_path / "routing.yaml").write_text(OTHER)
    desk.store.failing = AWAY[0]
    await desk.look(200)
    desk.tries.clear()
    (tmp_path / "routing.yaml").write_text(WRONG)
    await desk.look(500)
    assert len(desk.tries) == 1
    assert desk.book.refused.reason == "invalid"
    desk.store.failing = None
    (tmp_path / "routing.yaml").write_text(OTHER)
    await desk.look(2)
    assert desk.book.kept.current.routing == OTHER
