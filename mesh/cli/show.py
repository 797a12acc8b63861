"""Shows a running mesh: a live page in a terminal, a plain line every few seconds in a log."""

import time
from dataclasses import replace
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live

from mesh.cli.feeding import Feed
from mesh.cli.view import Board, plain_line, view
from mesh.telemetry.summary import Summary

_PAGE_S: Final = 1.0
_LINE_S: Final = 5.0


class Watched(Protocol):
    """A mesh that can be asked how it is."""

    def problems(self) -> tuple[str, ...]:
        """What is not well; empty when all of it serves."""
        ...

    def takes_records(self) -> bool:
        """True when records that are fed will be read."""
        ...

    def summary(self) -> Summary | None:
        """Its figures."""
        ...


class Fed(Protocol):
    """A feed that starts once the mesh takes records."""

    feed: Feed
    failed: str | None

    @property
    def started(self) -> bool:
        """True once `start` was called."""
        ...

    def start(self) -> None:
        """Begin."""
        ...


class Show:
    """One page or one line after the other, until KeyboardInterrupt."""

    def __init__(
        self, mesh: Watched, board: Board, feeder: Fed | None, console: Console, began: float
    ) -> None:
        self._mesh, self._board, self._feeder = mesh, board, feeder
        self._console, self._began = console, began

    def until_interrupted(self) -> None:
        """Look, start the feed when it will be read, show; again and again."""
        if not self._console.is_terminal:
            for name, address in self._board.addresses:
                self._console.print(f"{name}: {address}", highlight=False, soft_wrap=True)
            while True:
                self._console.print(plain_line(*self.look()), highlight=False, soft_wrap=True, markup=False)
                time.sleep(_LINE_S)
        with Live(console=self._console, auto_refresh=False, screen=False) as live:
            while True:
                live.update(view(*self.look()), refresh=True)
                time.sleep(_PAGE_S)

    def look(self) -> tuple[Summary | None, Board]:
        """The figures now, and the board beside them; starts the feed as soon as it will be read."""
        problems = self._mesh.problems()
        feeder = self._feeder
        if feeder is not None and not feeder.started and self._mesh.takes_records():
            feeder.start()
        if feeder is not None and feeder.failed is not None:
            problems = (*problems, feeder.failed)
        board = replace(
            self._board,
            problems=problems,
            elapsed_s=time.monotonic() - self._began,
            fed=None if feeder is None else feeder.feed.sent,
            feed_waits=feeder is not None and feeder.feed.waiting,
        )
        return self._mesh.summary(), board
