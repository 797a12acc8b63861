"""The figures of an engine whose models come, change and go."""

import pytest

from mesh.cluster.metering import EngineGauges
from mesh.engine.ports import Queue
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


class Engine:
    """The part of an engine that is read, as a rollout leaves it."""

    def __init__(self) -> None:
        self.pending_rows = {"default": 2, "anomaly@2": 1}
        self.breakers = {"anomaly": "closed", "anomaly@2": "open"}
        self.of = {"anomaly": Queue(3, 1.5, 6, 1, 4), "anomaly@2": Queue(5, 9.0, 8, 4, 4)}

    def breaker_states(self):
        return dict(self.breakers)

    def queues(self):
        return dict(self.of)

    def forget(self, model: str) -> None:
        del self.breakers[model], self.of[model], self.pending_rows[model]


@pytest.fixture
def world():
    engine, recorder = Engine(), Recorder()
    return engine, recorder, EngineGauges(recorder, engine)


def test_a_model_that_is_gone_has_no_open_breaker_and_no_queue(world):
    engine, recorder, gauges = world
    gauges.read()
    engine.forget("anomaly@2")
    gauges.read()
    told = recorder.snapshot().gauges
    assert told[names.BREAKER_STATE.name] == {("anomaly",): 0}
    assert told[names.MODEL_WAITING_ROWS.name] == {("anomaly",): 3}
    assert told[names.MODEL_SLOTS.name] == {("anomaly", "out"): 1, ("anomaly", "free"): 3}
    assert told[names.PENDING_ROWS.name] == {("default",): 2}


def test_a_counter_never_falls_where_a_model_gets_another_queue(world):
    engine, recorder, gauges = world
    gauges.read()
    engine.of["anomaly"] = Queue(0, 0.25, 1, 0, 8)
    gauges.read()
    engine.of["anomaly"] = Queue(0, 0.75, 2, 0, 8)
    gauges.read()
    told = recorder.snapshot().counters
    assert told[names.MODEL_QUEUE_SECONDS.name]["anomaly",] == pytest.approx(1.5 + 0.75)
    assert told[names.MODEL_QUEUED_CALLERS.name]["anomaly",] == 6 + 2


def test_a_model_that_comes_back_counts_on(world):
    engine, recorder, gauges = world
    gauges.read()
    kept = engine.of["anomaly@2"]
    engine.forget("anomaly@2")
    gauges.read()
    engine.breakers["anomaly@2"], engine.pending_rows["anomaly@2"] = "closed", 0
    engine.of["anomaly@2"] = Queue(0, 1.0, 2, 0, 4)
    gauges.read()
    told = recorder.snapshot()
    assert told.counters[names.MODEL_QUEUED_CALLERS.name]["anomaly@2",] == kept.queued_callers + 2
    assert told.gauges[names.BREAKER_STATE.name]["anomaly@2",] == 0
