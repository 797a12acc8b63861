"""What every tier shares: which tests run beside which, and how the run ends."""

import atexit
import os
import sys
from pathlib import Path

import pytest

VERDICT = pytest.StashKey[int]()
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the work (`make test`): Ray's tests in one, one after the other, the rest beside them.

    Two clusters on a host are in each other's way, so those with a cluster of their own come before the one that many share.
    """
    with_ray = {item.path for item in items if item.get_closest_marker("ray")}
    sharing = {item.path for item in items if "mesh_on_ray" in getattr(item, "fixturenames", ())}
    with_ray |= sharing
    items.sort(key=lambda item: (item.path in with_ray) + 2 * (item.path in sharing))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path, with_ray)))


def _group(path: Path, with_ray: set[Path]) -> str:
    """Ports and servers are a module's own, but those of one tier are never up at the same time."""
    if path in with_ray:
        return "ray"
    tier = path.relative_to(TESTS).parts[0]
    return tier if tier in ("integration", "contract") else str(path)


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
