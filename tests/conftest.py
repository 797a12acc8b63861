"""What every tier shares: how the run ends."""

import atexit
import os
import sys

import pytest

VERDICT = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[VERDICT] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without tearing the interpreter down where Ray ran inside it.

    Serve's router loop and Ray's core worker leave native threads that outlive `ray.shutdown()`. Python's teardown
    under them ended a run of 3,084 passed tests in a segmentation fault. By now the verdict is known and printed,
    so the exit handlers run, and the process ends with it.
    """
    if "ray" in sys.modules and VERDICT in config.stash:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[VERDICT])
