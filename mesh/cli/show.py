"""Shows a running mesh: a live page in a terminal, a plain line every few seconds in a log."""

import time
from dataclasses import replace
from typing import Final, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from mesh.cli.feeding import Feed
from mesh.cli.key_metrics import key_metrics
from mesh.cli.keyboard import Keyboard, keyboard
from mesh.cli.view import Board, plain_line, view
from mesh.costs import Prices
from mesh.telemetry.summary import Summary

_PAGE_S: Final = 1.0
_LINE_S: Final = 5.0
KEY: Final = "k"
"""Shows and hides the page of key metrics."""


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
        self,
        mesh: Watched,
        board: Board,
        feeder: Fed | None,
        console: Console,
        began: float,
        prices: Prices | None = None,
    ) -> None:
        """`prices` are for the page of key metrics, which the key `k` shows and hides."""
        self._mesh, self._board, self._feeder = mesh, board, feeder
        self._console, self._began = console, began
        self._prices = prices
        self._since: Summary | None = None
        self._key_page = False

    def until_interrupted(self) -> None:
        """Look, start the feed when it will be read, show; again and again."""
        if not self._console.is_terminal:
            for name, address in self._board.addresses:
                self._console.print(f"{name}: {address}", highlight=False, soft_wrap=True)
            while True:
                self._console.print(plain_line(*self.look()), highlight=False, soft_wrap=True, markup=False)
                time.sleep(_LINE_S)
        with keyboard() as keys, Live(console=self._console, auto_refresh=False, screen=False) as live:
            while True:
                live.update(self._page(), refresh=True)
                self._wait(keys)

    def _page(self) -> RenderableType:
        summary, board = self.look()
        if summary is not None and (self._since is None or (summary.processes and not self._since.processes)):
            self._since = summary
        if self._key_page:
            return key_metrics(self._since, summary, self._prices)
        return view(summary, board)

    def _wait(self, keys: Keyboard | None) -> None:
        """Until it is time for the next page, or the user asks for the other one."""
        if keys is None:
            time.sleep(_PAGE_S)
        elif KEY in keys.pressed(_PAGE_S):
            self._key_page = not self._key_page

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
