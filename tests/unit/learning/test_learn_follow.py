"""`hyperstream learn schedule`: what it does at a look, what it remembers, and what ends it."""

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from feedback_made import PLAN, bench
from rich.console import Console

from mesh.cli import learn_schedule
from mesh.cli.learn_schedule import Schedule, follow
from mesh.errors import DeadlineExceeded, InvalidConfig, MeshError, StoreAway
from mesh.learning.feedback.labels import MemoryLabels
from mesh.learning.learn import Learned
from mesh.learning.plan import SchedulePolicy
from mesh.learning.ray_job import Stopped
from mesh.registry import GateResult
from mesh.registry.objects import StorageFailed

CONFIG = Path("config")
HOUR = 3_600_000
POLICY = SchedulePolicy(every_ms=24 * HOUR, least_gap_ms=HOUR)
STOPPED = Learned(
    None, (GateResult("feedback", "failed", None, None, "too few"),), challenger=False, missing=0
)


class Stage:
    """A clock, a database and Ray that one can take away."""

    def __init__(self, folder):
        self.folder, self.now, self.away, self.updates = folder, 100 * 24 * HOUR, None, False
        self.worked, self.lasts, self.ends, self.out = [], 0, None, StringIO()

    @contextmanager
    def open(self, _config):
        if self.away is not None:
            raise self.away
        yield bench(self.folder, MemoryLabels(), None, replace(PLAN, schedule=POLICY))[0]

    def run(self, job, _policy, _stopped):
        self.worked.append(job.kind)
        if self.ends is not None:
            raise self.ends
        self.now += self.lasts
        return STOPPED

    def schedule(self):
        return Schedule(CONFIG, "ann", None, Console(file=self.out, width=200), lambda: False)

    @property
    def said(self):
        return self.out.getvalue().splitlines()


@pytest.fixture
def stage(tmp_path, monkeypatch):
    made = Stage(tmp_path)
    monkeypatch.setattr(learn_schedule, "open_bench", made.open)
    monkeypatch.setattr(learn_schedule, "run_on_ray", made.run)
    monkeypatch.setattr(learn_schedule, "update_due", lambda _bench, _now: made.updates)
    monkeypatch.setattr(learn_schedule, "local_ray", lambda _address: nullcontext())
    monkeypatch.setattr(learn_schedule, "clock_ms", lambda: made.now)

    async def none(_since):
        return []

    monkeypatch.setattr(learn_schedule, "_alerts", none)
    return made


def test_a_training_that_is_always_stopped_leaves_updates_their_turn(stage):
    stage.updates = True
    schedule = stage.schedule()
    for _ in range(3):
        schedule.look()
    assert stage.worked == ["retrain", "update"]
    stage.now += HOUR
    schedule.look()
    assert stage.worked == ["retrain", "update", "retrain"]


def test_the_gap_begins_where_a_try_ends_so_that_long_ones_leave_updates_their_turn_too(stage):
    stage.updates, stage.lasts = True, HOUR
    schedule = stage.schedule()
    schedule.look()
    schedule.look()
    assert stage.worked == ["retrain", "update"]


def test_tries_are_remembered_without_a_version_and_by_the_next_process(stage):
    for _ in range(3):
        stage.schedule().look()
    assert stage.worked == ["retrain"]
    stage.now += HOUR
    stage.schedule().look()
    assert stage.worked == ["retrain", "retrain"]


def test_a_work_that_failed_waits_for_its_next_time_and_one_that_was_ended_by_a_signal_does_not(stage):
    stage.ends = Stopped("the retrain was ended before it was done")
    stage.schedule().look()
    assert stage.said[-1] == "the retrain was ended before it was done"
    stage.ends = DeadlineExceeded("it took too long")
    stage.schedule().look()
    assert stage.said[-1] == "the retrain failed: it took too long"
    stage.schedule().look()
    assert stage.worked == ["retrain", "retrain"]


def test_what_is_away_is_said_once_and_looked_for_again(stage):
    schedule = stage.schedule()
    for reason in ("refused", "starting up", "starting up"):
        stage.away = StoreAway("the database", reason)
        schedule.look_again()
    assert [line for line in stage.said if "does not answer" in line] == [
        "what is due cannot be told: the database does not answer: refused; it is asked again at the next look"
    ]
    stage.away = StorageFailed("the registry at s3://plant: no answer")
    schedule.look_again()
    assert "s3://plant" in stage.said[-1]
    assert stage.worked == []
    stage.away = None
    schedule.look_again()
    assert "what was away answers again" in stage.said
    assert stage.worked == ["retrain"]
    stage.away = StoreAway("the database", "refused")
    schedule.look_again()
    assert "refused" in stage.said[-1]


def test_drift_alerts_that_cannot_be_read_are_said_once(stage, monkeypatch):
    async def away(_since):
        raise StoreAway("redis", "refused")

    monkeypatch.setattr(learn_schedule, "_alerts", away)
    schedule = stage.schedule()
    schedule.look()
    schedule.look()
    assert len([line for line in stage.said if "drift alerts cannot be read" in line]) == 1


def test_a_configuration_that_is_wrong_at_the_start_ends_it(stage):
    stage.away = InvalidConfig("learning.yaml", 3, "view", "is none")
    with pytest.raises(InvalidConfig, match=r"learning\.yaml:3"):
        follow(CONFIG, "ann", "auto", 60, None, once=False)


def test_one_look_fails_with_what_is_away(stage, monkeypatch):
    def gone(_bench, _now):
        raise StoreAway("the database", "refused")

    monkeypatch.setattr(learn_schedule, "update_due", gone)
    with pytest.raises(MeshError, match="the database does not answer"):
        follow(CONFIG, "ann", "auto", 60, None, once=True)


def test_a_moment_without_the_database_does_not_end_it_and_a_signal_does(stage, monkeypatch):
    looks, ask = [], []
    monkeypatch.setattr(learn_schedule.interrupts, "call_once", ask.append)

    def sometimes(_bench, _now):
        looks.append(0)
        if len(looks) == 1:
            raise StoreAway("the database", "refused")
        ask[0]()
        return False

    monkeypatch.setattr(learn_schedule, "update_due", sometimes)
    ended = threading.Thread(target=follow, args=(CONFIG, "ann", "auto", 0.01, None), kwargs={"once": False})
    ended.start()
    ended.join(20)
    assert not ended.is_alive()
    assert len(looks) == 2
    assert stage.worked == ["retrain"]
