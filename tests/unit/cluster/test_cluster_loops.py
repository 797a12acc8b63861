"""The loops that a process tells and hears by outlive errors that nobody foresaw."""

import asyncio

import pytest

from mesh.cluster import directory, scoreboard
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder


class Remote:
    """An actor's method."""

    def __init__(self, call) -> None:
        self.remote = call


@pytest.fixture
def board(monkeypatch):
    """A scoreboard that keeps what it is pushed."""

    class Board:
        def __init__(self) -> None:
            self.pushed = asyncio.Queue()
            self.push = self.end = Remote(self._push)

        async def _push(self, process_id, snapshot):
            self.pushed.put_nowait(snapshot.sequence)

    found = Board()

    async def find(*_, **__):
        return found

    monkeypatch.setattr(scoreboard, "find_or_start", find)
    monkeypatch.setattr(scoreboard, "PUSH_S", 0.001)
    monkeypatch.setattr(scoreboard, "_RETRY_S", 0.001)
    return found


async def test_figures_are_pushed_again_after_a_reading_that_failed(board):
    readings = iter((None, OSError("no such folder"), None))

    def read():
        error = next(readings, None)
        if error is not None:
            raise error

    reporter = scoreboard.Reporter("router", "r-1", Recorder(), Settings(), read)
    reporter.start()
    async with asyncio.timeout(20):
        first, second = await board.pushed.get(), await board.pushed.get()
    await reporter.stop()
    assert (first, second) == (1, 2)


async def test_replicas_are_heard_of_again_after_a_change_that_could_not_be_taken(monkeypatch):
    class Directory:
        def __init__(self) -> None:
            self.watch = Remote(self._watch)

        async def _watch(self, known, timeout_s):
            if known == 7:
                await asyncio.sleep(timeout_s)
            return 7, ()

    async def find(*_, **__):
        return Directory()

    failures, taken = [RuntimeError("too many open files")], asyncio.Event()

    def take(_replicas):
        if failures:
            raise failures.pop()
        taken.set()

    monkeypatch.setattr(directory, "find_or_start", find)
    monkeypatch.setattr(directory, "_RETRY_S", (0.001,))
    watching = asyncio.create_task(directory.watch_directory(take))
    async with asyncio.timeout(20):
        await taken.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
