"""What a reader of the stream says of itself: counts of a sliding window, and nothing while it is unwell."""

import asyncio

import numpy as np

from ingest import heartbeat as heartbeats
from ingest.health import StreamStalled
from ingest.heartbeat import Heartbeat
from mesh.errors import StoreAway
from mesh.stores.predictions import MemoryBeats, ModelWindow
from mesh.stores.predictions.beats import SlidingCounts
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


def heartbeat(writer, recorder, check_health=lambda: None):
    return Heartbeat(
        writer, "ingest#1", recorder, endpoints=lambda: ("m", "n"), lag=lambda: 42, check_health=check_health, logged=True
    )  # fmt: skip


def test_counts_are_of_the_window_alone():
    counts = SlidingCounts(0.0, window_s=30)
    for at in range(2, 62, 2):
        seconds, models = counts.take(at, {"m": ModelWindow(10 * at, at, float(at))})
        assert seconds == min(at, 30)
        assert models["m"].answered == 10 * min(at, 30)
    seconds, models = counts.take(200, {"m": ModelWindow(600, 60, 60.0)})
    assert models.get("m") is None or models["m"].answered == 0


def test_a_word_says_what_was_answered_and_what_failed():
    recorder = Recorder()
    beat = heartbeat(MemoryBeats(), recorder)
    recorder.count(names.INFERENCE_PREDICTIONS, 4, ("m",))
    recorder.observe_many(names.INFERENCE_SECONDS, np.full(4, 0.25), ("m",))
    recorder.count(names.INFERENCE_ERRORS, 1, ("n",))
    word = beat.word(1e9)
    assert (word.replica, word.lag, word.endpoints, word.logged) == ("ingest#1", 42, ("m", "n"), True)
    assert word.models == {"m": ModelWindow(4, 0, 1.0), "n": ModelWindow(0, 1, 0.0)}


async def test_it_beats_through_a_store_that_comes_back_and_not_while_the_reader_is_unwell(monkeypatch):
    monkeypatch.setattr(heartbeats, "BEAT_S", 0.005)
    trouble = [StoreAway("heartbeats", "refused")] * 2
    unwell = []

    class Store(MemoryBeats):
        taken = 0

        async def beat(self, beat):
            if trouble:
                raise trouble.pop()
            Store.taken += 1
            await super().beat(beat)

    def check_health():
        if unwell:
            raise StreamStalled("nothing was polled")

    beat = heartbeat(Store(), Recorder(), check_health)
    beat.start()
    async with asyncio.timeout(20):
        while Store.taken < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        unwell.append(True)
        await asyncio.sleep(0.02)
        before = Store.taken
        await asyncio.sleep(0.03)
        assert Store.taken == before
        unwell.clear()
        while Store.taken == before:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await beat.stop()
