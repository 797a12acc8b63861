"""Ctrl-C and SIGTERM mean the same: KeyboardInterrupt in the main thread, once."""

import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def arm() -> None:
    """Raise KeyboardInterrupt on either. Call again after Ray has started, which takes SIGTERM for itself."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def hold_off() -> None:
    """Do nothing on either: what is under way is bounded in time and must not be cut short."""
    for number in _SIGNALS:
        # A function, not SIG_IGN, which programs that we start would inherit.
        signal.signal(number, _pass)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _pass(_number: int, _frame: FrameType | None) -> None:
    return


def call_once(stop: Callable[[], object]) -> None:
    """Call `stop` on the first of either, so that work ends at a place of its own; a second one is KeyboardInterrupt."""

    def first(_number: int, _frame: FrameType | None) -> None:
        arm()
        stop()

    for number in _SIGNALS:
        signal.signal(number, first)
