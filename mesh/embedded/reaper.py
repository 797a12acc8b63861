"""`python -m mesh.embedded.reaper FOLDER`: ends the processes that its owner has started and not ended itself.

Standard input holds one process a line, `pid created`. When it closes, because the owner is done or died in any
way, every named process that is still the same one, and every process that was started with a path in FOLDER, gets
a moment to end by itself, and then SIGKILL. FOLDER is removed.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable

import psutil

GRACE_S = 2.0


def main() -> None:
    """Read until the owner is gone, then end what is left."""
    folder = sys.argv[1]
    named = [line.split() for line in sys.stdin]
    found = [process for pid, created in named if (process := _same(int(pid), float(created))) is not None]
    _, left = psutil.wait_procs(found, timeout=GRACE_S)
    # HAProxy starts itself anew whenever a replica comes or goes, so its last process may not have been named.
    left += [process for process in psutil.process_iter() if _works_in(folder, process)]
    for process in left:
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_S)
    shutil.rmtree(folder, ignore_errors=True)


def lines_for(processes: Iterable[psutil.Process]) -> dict[int, str]:
    """What to write for each of `processes`, by pid; one that has ended meanwhile is left out."""
    lines = {}
    for process in processes:
        try:
            lines[process.pid] = f"{process.pid} {process.create_time()!r}\n"
        except psutil.Error:
            continue
    return lines


def _same(pid: int, created: float) -> psutil.Process | None:
    """The process that was meant, unless it has ended: its number may belong to another one by now."""
    try:
        process = psutil.Process(pid)
        return process if process.create_time() == created else None
    except psutil.Error:
        return None


def _works_in(folder: str, process: psutil.Process) -> bool:
    try:
        return process.pid != os.getpid() and any(word.startswith(f"{folder}/") for word in process.cmdline())
    except psutil.Error:
        return False


if __name__ == "__main__":
    main()
