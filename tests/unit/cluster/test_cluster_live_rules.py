"""Whoever answers rows follows the rules over the lives of the desk."""

import asyncio
from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from mesh.cluster import live_rules
from mesh.cluster.live_rules import LiveRules
from mesh.engine.compared import ShadowKey
from mesh.rules.opening import open_rules
from mesh.rules.reading import Reader
from mesh.rules.values import News, Revision, RulesState
from mesh.settings import Settings

MODELS = "models:\n  a: {runtime: identity}\n  b: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [%s]}\n"


class Remote:
    """An actor's method."""

    def __init__(self, call) -> None:
        self.remote = call


class Desk:
    """One life of the desk: it answers as long as it is not killed."""

    def __init__(self, revision: Revision, apps: dict[str, str]) -> None:
        self.news = News(revision, apps)
        self.killed, self.followed = asyncio.Event(), asyncio.Event()
        self.watch, self.leave = Remote(self._watch), Remote(self._leave)
        self.state, self.tell_shadows = Remote(self._state), Remote(self._tell)
        self.told = asyncio.Queue()

    async def _state(self):
        return RulesState(self.news.revision, (), None, apps=self.news.apps)

    async def _watch(self, _process, known, _timeout_s):
        if known != self.news.revision.version:
            return self.news
        self.followed.set()
        await self.killed.wait()
        raise RayActorError

    async def _tell(self, _process, number, news):
        self.told.put_nowait((number, news))

    async def _leave(self, _process):
        """Nobody counts."""


class Engine:
    """Keeps what it takes."""

    def __init__(self) -> None:
        self.taken = asyncio.Queue()

    def take(self, config, apps) -> None:
        self.taken.put_nowait((config.rules_hash, dict(apps)))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text(ROUTING % "a")
    monkeypatch.setattr(live_rules, "_RETRY_S", (0.001,))
    monkeypatch.setattr(live_rules, "_FIRST_S", 0.001)
    return tmp_path


def first_of(folder: Path, model: str) -> Revision:
    """What a desk that finds nothing kept begins with."""
    (folder / "routing.yaml").write_text(ROUTING % model)
    return open_rules(None, Reader(folder, Settings()), 1).kept.current


async def following(lives: list[Desk], folder: Path, monkeypatch) -> tuple[LiveRules, Engine]:
    """What began with the first of these desks; whoever looks for one finds the first that is left."""

    async def find(*_):
        return lives[0]

    monkeypatch.setattr(live_rules, "find_desk", find)
    live, engine = LiveRules(folder, Settings(), "r-1"), Engine()
    await live.begin()
    live.follow(engine)
    return live, engine


async def test_rules_of_a_new_desk_are_taken_though_they_have_the_number_of_those_before(folder, monkeypatch):
    lives = [Desk(first_of(folder, "a"), {}), Desk(first_of(folder, "b"), {})]

    live, engine = await following(lives, folder, monkeypatch)
    first = lives.pop(0)
    first.killed.set()
    async with asyncio.timeout(20):
        taken, _ = await engine.taken.get()
    await live.stop()
    assert (first.news.revision.version, lives[0].news.revision.version) == (1, 1)
    assert taken == lives[0].news.revision.rules == live.revision.rules


async def test_what_a_new_desk_still_has_is_not_taken_twice(folder, monkeypatch):
    revision = first_of(folder, "a")
    lives = [Desk(revision, {}), Desk(revision, {})]

    live, engine = await following(lives, folder, monkeypatch)
    lives.pop(0).killed.set()
    async with asyncio.timeout(20):
        await lives[0].followed.wait()
    await live.stop()
    assert engine.taken.empty()


async def test_who_began_without_the_desk_learns_of_applications_from_it(folder, monkeypatch):
    desk = Desk(first_of(folder, "a"), {"b": "model.b"})
    answers = [TimeoutError("away")]

    async def find(*_):
        if answers:
            raise answers.pop()
        return desk

    monkeypatch.setattr(live_rules, "find_desk", find)
    live, engine = LiveRules(folder, Settings(), "r-1"), Engine()
    await live.begin()
    live.follow(engine)
    async with asyncio.timeout(20):
        _, apps = await engine.taken.get()
    await live.stop()
    assert apps == live.apps == {"b": "model.b"}


async def test_what_shadows_say_is_told_again_after_an_error_that_nobody_foresaw(folder, monkeypatch):
    desk, failures = Desk(first_of(folder, "a"), {}), []

    async def find(*_):
        if failures:
            raise failures.pop()
        return desk

    monkeypatch.setattr(live_rules, "find_desk", find)
    monkeypatch.setattr(live_rules, "TELL_S", 0.001)
    live = LiveRules(folder, Settings(), "r-1")
    await live.begin()
    live._desk = None
    live.tally.missed(ShadowKey("default", "r", "a", "b"), "failed", 3)
    failures.append(RuntimeError("can't start new thread"))
    telling = asyncio.create_task(live._tell())
    async with asyncio.timeout(20):
        number, news = await desk.told.get()
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    assert (number, [counts.failed for counts in news.counts.values()]) == (1, [3])
