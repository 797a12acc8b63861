"""What every tier shares: which tests run beside which, and how the run ends."""

import atexit
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Speed belongs in benchmarks: on a busy machine an example may take long, and is right all the same.
hypothesis.settings.register_profile("mesh", deadline=None)
hypothesis.settings.load_profile("mesh")

VERDICT = pytest.StashKey[int]()
TESTS = Path(__file__).parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes share the work (`make test`): Ray's tests in one, one after the other, the rest beside them."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath / nodeid.partition("::")[0])

    config.option.loadscopereorder = False  # the longest comes first, which is not the one with most tests
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two clusters on a host are in each other's way: those with one of their own come before the one that many share."""
    items.sort(key=lambda item: (group_of(item.path) != "ray", shares_a_cluster(item.path)))


def group_of(path: Path) -> str:
    """What stays in one process. Ports and servers are a module's own, but those of a tier are never up at the same time."""
    tier = path.relative_to(TESTS).parts[0]
    if tier == "integration" and ("pytest.mark.ray" in text_of(path) or shares_a_cluster(path)):
        return "ray"
    return tier if tier in ("integration", "contract") else str(path)


def shares_a_cluster(path: Path) -> bool:
    return "mesh_on_ray" in text_of(path)


@cache
def text_of(path: Path) -> str:
    return path.read_text()


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
