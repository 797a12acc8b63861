"""Predictions as readers find them: the log that ingest writes, and the heartbeats of those who write it.

In Redis, or in memory for tests and trials. Ports of few methods; one contract suite runs over both.
"""

from mesh.stores.predictions.beats import Beat, Heard, ModelWindow
from mesh.stores.predictions.entry import BEGINNING, Entry, Origin, Prediction, Slice, checked_cursor
from mesh.stores.predictions.memory import MemoryBeats, MemoryLog
from mesh.stores.predictions.ports import BeatReader, BeatWriter, LogTail, PredictionLog
from mesh.stores.predictions.redis_beats import RedisBeats
from mesh.stores.predictions.redis_log import RedisLog

__all__ = [
    "BEGINNING",
    "Beat",
    "BeatReader",
    "BeatWriter",
    "Entry",
    "Heard",
    "LogTail",
    "MemoryBeats",
    "MemoryLog",
    "ModelWindow",
    "Origin",
    "Prediction",
    "PredictionLog",
    "RedisBeats",
    "RedisLog",
    "Slice",
    "checked_cursor",
]
