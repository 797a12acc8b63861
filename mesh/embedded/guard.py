"""`python -m mesh.embedded.guard COMMAND...`: run a program for as long as whoever started us lives.

Standard input is a pipe that the owner holds. When it closes, because the owner closed it or died in any
way, the program gets SIGTERM and, where that does not help, SIGKILL. Standard library only, so that it
stays small.
"""

import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import NoReturn

GRACE_S = 8.0


def main() -> int:
    """Run the command of `sys.argv`; its exit status is ours."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_owner, args=(program,), daemon=True).start()
    try:
        return program.wait()
    finally:
        _end(program)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    # A second one would cut the ending short, and the program would live on
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


def _end_with_owner(program: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    _end(program)


def _end(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    try:
        program.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        program.kill()


if __name__ == "__main__":
    sys.exit(main())
