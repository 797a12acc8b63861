"""`python -m mesh.embedded.reaper RUN`: ends whatever its owner has started and left behind, and removes RUN.

When our standard input closes, because the owner is done or died in any way, those processes get a moment to end by
themselves, and then SIGKILL. They are known in two ways, as either alone misses some: by looking at the owner's
descendants every few seconds, and by `HYPERSTREAM_RUN=RUN` in the environment, which everything inherits. Ray's
processes change their titles, which overwrites their environment; HAProxy outlives the actor that started it, and
starts itself anew at any time. What the owner had started before us, it ends itself.
"""

import contextlib
import os
import select
import shutil
import sys
import time
from typing import Final

import psutil

VARIABLE: Final = "HYPERSTREAM_RUN"
GRACE_S: Final = 2.0
WATCH_S: Final = 2.0
_ROUNDS: Final = 5
_LOOK_S: Final = 0.2


def main() -> None:
    """Watch until the owner is gone, then end what is left."""
    run = sys.argv[1]
    known = _watch()
    deadline = time.monotonic() + GRACE_S
    while _left(known, run) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    for _ in range(_ROUNDS):  # one that is killed may have started another meanwhile
        left = _left(known, run)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=GRACE_S)
        if not left:
            break
    shutil.rmtree(run, ignore_errors=True)


def _watch() -> set[psutil.Process]:
    """Every descendant that the owner has had since we began, ourselves excepted."""
    owner = psutil.Process(os.getppid())
    spared, known = _descendants(owner), set[psutil.Process]()
    while not select.select([sys.stdin], [], [], WATCH_S)[0]:
        known |= _descendants(owner) - spared
    return known


def _descendants(owner: psutil.Process) -> set[psutil.Process]:
    try:
        return set(owner.children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def _left(known: set[psutil.Process], run: str) -> list[psutil.Process]:
    """Those of the run that still live. A number that now belongs to another process does not count."""
    return [
        process
        for process in {*known, *psutil.process_iter()}
        if _lives(process) and (process in known or _marked(process, run))
    ]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _marked(process: psutil.Process, run: str) -> bool:
    try:
        return bool(process.environ().get(VARIABLE) == run)
    except (psutil.Error, OSError):
        return False  # ended meanwhile, or another user's


if __name__ == "__main__":
    main()
