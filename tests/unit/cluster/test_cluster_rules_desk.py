"""The desk of rules over its lives."""

import asyncio
from pathlib import Path

import pytest

from mesh.cluster import rules_desk
from mesh.cluster.rules_desk import RulesDesk
from mesh.errors import MeshError
from mesh.rules.ports import HostedElsewhere
from mesh.settings import Settings
from mesh.spec import ModelSpec

MODELS = "models:\n  a: {runtime: identity}\n"
MORE = MODELS + "  late: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [%s]}\n"


class NothingStarts(HostedElsewhere):
    """Hosting on which no model starts."""

    def __init__(self) -> None:
        self.apps: dict[str, str] = {}

    async def host(self, spec: ModelSpec) -> None:
        raise MeshError(f"{spec.name} has no place")


class Silent:
    """Pushes no figures."""

    def __init__(self, *_) -> None:
        self.start = lambda: None


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    async def hosting(_folder, _wanted):
        return NothingStarts()

    monkeypatch.setattr(rules_desk, "_loaded", lambda _path: hosting)
    monkeypatch.setattr(rules_desk, "Reporter", Silent)
    monkeypatch.setattr(rules_desk, "POLL_S", 0.001)
    made = tmp_path / "config"
    made.mkdir()
    write(made, MODELS, "a")
    return made


def write(folder: Path, models: str, first: str) -> None:
    (folder / "models.yaml").write_text(models)
    (folder / "routing.yaml").write_text(ROUTING % first)


async def end(desk: RulesDesk) -> None:
    for task in desk._tasks:
        task.cancel()
    await asyncio.gather(*desk._tasks, return_exceptions=True)


async def refused(folder: Path, monkeypatch, *, again: bool):
    """What a life of the desk has once it has refused the files; `again` says whether Ray has started it anew."""
    monkeypatch.setattr(rules_desk, "lived_before", lambda: again)
    desk = RulesDesk(str(folder), Settings(), "")
    try:
        before = await desk.state()
        if not again:
            write(folder, MORE, "late")
        async with asyncio.timeout(20):
            while (await desk.state()).refused is None:  # noqa: ASYNC110 - it is asked as people ask it
                await asyncio.sleep(0.001)
        return before, await desk.state()
    finally:
        await end(desk)


async def test_files_that_were_refused_are_refused_by_a_desk_that_is_started_again(folder, monkeypatch):
    first, _ = await refused(folder, monkeypatch, again=False)
    before, after = await refused(folder, monkeypatch, again=True)
    assert first.revision == before.revision == after.revision
    assert after.refused.reason == "model"


async def test_models_that_an_earlier_desk_was_to_drop_are_dropped(folder, monkeypatch):
    class Left(NothingStarts):
        def __init__(self) -> None:
            self.apps = {"a": "model.a", "old": "model.old"}
            self.dropped: asyncio.Queue[str] = asyncio.Queue()

        async def drop(self, model: str) -> None:
            self.dropped.put_nowait(model)

    left = Left()

    async def hosting(_folder, _wanted):
        return left

    monkeypatch.setattr(rules_desk, "_loaded", lambda _path: hosting)
    monkeypatch.setattr(rules_desk, "_LEFT_S", 0.001)
    monkeypatch.setattr(rules_desk, "lived_before", lambda: True)
    desk = RulesDesk(str(folder), Settings(), "")
    try:
        await desk.state()
        async with asyncio.timeout(20):
            assert await left.dropped.get() == "old"
        assert left.dropped.empty()
    finally:
        await end(desk)
