"""A training as one Ray task that gives way: a fractional claim, a high niceness, one thread, an end in any case."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import ray
from ray.exceptions import RayError
from threadpoolctl import threadpool_limits

from mesh.errors import DeadlineExceeded, MeshError
from mesh.learning.learn import Learned, retrain, update
from mesh.learning.opened import open_bench
from mesh.learning.plan import SchedulePolicy

Kind = Literal["retrain", "update"]
_WORK: Final = {"retrain": retrain, "update": update}
_SLICE_S: Final = 0.5
"""Signals are seen between waits only: Ray's own go on through them."""
_END_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told: it opens everything else itself, from the same files."""

    kind: Kind
    config_dir: str
    actor: str
    now_ms: int
    nice: int


class Stopped(MeshError):
    """The work was ended before it was done, because whoever waited for it was asked to stop."""


def run_on_ray(job: Job, policy: SchedulePolicy, stopped: Callable[[], bool] = lambda: False) -> Learned:
    """Run it on the cluster that this process has joined, at most for `policy.timeout_ms`, waiting for resources included.

    Raises `DeadlineExceeded` once it is over time and `Stopped` soon after `stopped` says so (the worker is ended in both), and
    what the training raises.
    """
    # A training that failed is looked at; it is not tried again behind anybody's back.
    task = ray.remote(num_cpus=policy.cpus, max_retries=0, max_calls=1)(learn_politely)
    running = task.remote(job)
    over = time.monotonic() + policy.timeout_ms / 1e3
    while not _ended(running, min(_SLICE_S, max(0.0, over - time.monotonic()))):
        if stopped():
            _end(running)
            raise Stopped(f"the {job.kind} was ended before it was done")
        if time.monotonic() >= over:
            _end(running)
            raise DeadlineExceeded(
                f"the {job.kind} did not end within {policy.timeout_ms / 1e3:g} s and was ended"
            )
    try:
        learned: Learned = ray.get(running)
    except RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, MeshError):
            raise cause from None
        raise MeshError(f"the {job.kind} failed on Ray: {error}") from error
    return learned


def _ended(running: "ray.ObjectRef[Learned]", within_s: float) -> bool:
    ready, _ = ray.wait([running], timeout=within_s)
    return bool(ready)


def _end(running: "ray.ObjectRef[Learned]") -> None:
    """Kill its worker, and wait a moment for that: what it kept before its end is known then."""
    ray.cancel(running, force=True)
    _ended(running, _END_S)


def learn_politely(job: Job) -> Learned:
    """What the worker runs. Its process is nobody else's (`max_calls=1`), so its niceness may stay."""
    be_polite(job.nice)
    with threadpool_limits(1), open_bench(Path(job.config_dir)) as bench:
        return _WORK[job.kind](bench, job.actor, job.now_ms)


def be_polite(nice: int) -> None:
    """Give way to every other process of this machine, from now on; never less nice than before."""
    present = os.getpriority(os.PRIO_PROCESS, 0)
    if nice > present:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
