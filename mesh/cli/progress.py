"""A progress bar for sending: how many, how fast, how long yet. One plain line every few seconds in a log."""

import time
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_S: Final = 5.0
_DRAW_S: Final = 0.1


class Sending(Protocol):
    """What the bar reads of a run of sending."""

    sent: int
    waiting: bool


class SendingBar:
    """Shows a run at work; call it after every record."""

    def __init__(self, feed: Sending, total: int | None, console: Console) -> None:
        self._feed, self._console, self._total = feed, console, total
        self._began = self._drawn = time.monotonic()
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("sending", total=total, rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw()
        self._bar.stop()

    def __call__(self) -> None:
        """Draw again, where it is time to."""
        now = time.monotonic()
        if now - self._drawn < (_DRAW_S if self._console.is_terminal else _LINE_S):
            return
        self._drawn = now
        self._draw()
        if not self._console.is_terminal:
            total = "" if self._total is None else f" of {self._total:,}"
            words = ", waiting for readers" if self._feed.waiting else ""
            self._console.print(f"sent {self._feed.sent:,}{total} at {self.rate:,.0f} records/s{words}")

    @property
    def rate(self) -> float:
        """Records a second since the beginning."""
        return self._feed.sent / max(1e-6, time.monotonic() - self._began)

    def _draw(self) -> None:
        words = "waiting for readers" if self._feed.waiting else "sending"
        rate = f"{self.rate:,.0f} records/s"
        self._bar.update(self._task, completed=self._feed.sent, rate=rate, description=words)
