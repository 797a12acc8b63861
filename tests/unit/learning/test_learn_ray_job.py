"""Waiting for a training on Ray: for so long, in short slices, and no longer than one is asked to."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mesh.errors import DeadlineExceeded
from mesh.learning import ray_job
from mesh.learning.plan import SchedulePolicy
from mesh.learning.ray_job import Job, Stopped, run_on_ray

JOB = Job("retrain", "config", "ann", 0, 15)
POLICY = SchedulePolicy(timeout_ms=60_000)


class FakeRay:
    """A task that ends after so many looks at it, or when it is ended."""

    def __init__(self, looks):
        self.left, self.ended, self.waits, self.ends_at_once = looks, 0, [], True

    def remote(self, **_):
        return lambda _function: SimpleNamespace(remote=lambda _job: "running")

    def wait(self, tasks, timeout):
        self.waits.append(timeout)
        self.left -= 1
        done = self.left <= 0 or (self.ended > 0 and self.ends_at_once)
        return (tasks, []) if done else ([], tasks)

    def cancel(self, _task, *, force):
        assert force
        self.ended += 1

    def get(self, _task):
        return "learned"


@pytest.fixture
def cluster(monkeypatch):
    fake = FakeRay(looks=3)
    monkeypatch.setattr(ray_job, "ray", fake)
    return fake


def test_it_waits_in_short_slices(cluster):
    assert run_on_ray(JOB, POLICY) == "learned"
    assert len(cluster.waits) == 3
    assert max(cluster.waits) <= 1.0
    assert not cluster.ended


def test_being_asked_to_stop_ends_the_task_at_the_next_slice(cluster):
    cluster.left = 1_000
    asked = iter([False, True])
    with pytest.raises(Stopped, match="the retrain was ended before it was done"):
        run_on_ray(JOB, POLICY, lambda: next(asked))
    assert cluster.ended == 1
    assert len(cluster.waits) == 3  # two slices, and for its end


def test_one_that_does_not_end_is_not_waited_for_without_bound(cluster):
    cluster.left, cluster.ends_at_once = 1_000, False
    with pytest.raises(Stopped):
        run_on_ray(JOB, POLICY, lambda: True)
    assert sum(cluster.waits) <= 15


def test_over_time_it_is_ended(cluster):
    cluster.left = 10**9
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.001 s"):
        run_on_ray(JOB, replace(POLICY, timeout_ms=1))
    assert cluster.ended == 1
