"""Single keys from a terminal, without Enter, for as long as a page is shown."""

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


class Keyboard:
    """Keys that were pressed on a terminal's file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def pressed(self, timeout_s: float) -> str:
        """What was pressed within so long, `""` where nothing was. Returns at the first key."""
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        return os.read(self._descriptor, 64).decode(errors="replace") if ready else ""


@contextmanager
def keyboard() -> Iterator[Keyboard | None]:
    """The terminal on standard input with keys given one by one, as it was afterwards; None where there is none.

    Ctrl-C goes on to interrupt.
    """
    descriptor = _descriptor()
    if descriptor is None:
        yield None
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _descriptor() -> int | None:
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):
        return None
    # A background job would be stopped for touching the terminal.
    if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
        return None
    return descriptor
