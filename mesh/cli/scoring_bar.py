"""A progress bar for a backfill: how many rows of how many, how long yet. One plain line every few seconds in a log."""

import time
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_S: Final = 5.0


class Scored(Protocol):
    """How far it is."""

    @property
    def rows(self) -> int:
        """Rows that are scored."""
        ...

    @property
    def total(self) -> int:
        """About how many there will be."""
        ...


class ScoringBar:
    """Call it with each news of how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("scoring", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return max(1e-6, time.monotonic() - self._began)

    def __call__(self, scored: Scored) -> None:
        """Show how far it is, with the time that the rest will take at the rate so far."""
        self._bar.update(self._task, completed=scored.rows, total=scored.total)
        now = time.monotonic()
        if self._console.is_terminal or not scored.rows or now - self._told < _LINE_S:
            return
        self._told = now
        rate = scored.rows / self.seconds
        left = max(0, scored.total - scored.rows) / rate
        self._console.print(
            f"scored {scored.rows:,} of {scored.total:,} rows at {rate:,.0f}/s, about {left:.0f} s left",
            highlight=False,
        )
