"""What the telemetry chain tells the recorder."""

import logging
from collections.abc import Sequence

import numpy as np

from ingest.record import Rejected
from ingest.telemetry.chain import Computed
from mesh.pipeline.plan import Level
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

logger = logging.getLogger(__name__)


class ChainMetering:
    """Counts for one worker, on its event loop."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._state_bytes = 0
        self._level: Level | None = None

    def computed(self, computed: Computed, level: Level, assets: int) -> None:
        """A poll went through the early stages."""
        recorder = self._recorder
        for stage, seconds in computed.seconds.items():
            recorder.observe(names.TELEMETRY_STAGE_SECONDS, seconds, (stage,))
        recorder.count(names.TELEMETRY_ROWS, len(computed.windows))
        recorder.count(names.TELEMETRY_LATE, len(computed.late))
        recorder.count(names.TELEMETRY_RESTARTED, computed.restarted)
        recorder.count(names.TELEMETRY_FORGOTTEN, len(computed.forgotten))
        for (kind, _sensor), count in computed.decoded.odd.items():
            recorder.count(names.TELEMETRY_ODD, count, (kind.value,))
        recorder.set(names.TELEMETRY_LEVEL, int(level))
        self.remembers(assets)
        if level != self._level:
            if self._level is not None:
                logger.warning("the telemetry chain goes from %s to %s", self._level.label, level.label)
            self._level = level

    def remembers(self, assets: int) -> None:
        """So many assets are remembered."""
        self._recorder.set(names.TELEMETRY_ASSETS, assets)

    def stage(self, name: str, seconds: float) -> None:
        """A stage that asks models took so long."""
        self._recorder.observe(names.TELEMETRY_STAGE_SECONDS, seconds, (name,))

    def left_out(self, stage: str, rows: int) -> None:
        """An optional stage gave no answer for these rows."""
        self._recorder.count(names.TELEMETRY_LEFT_OUT, rows, (stage,))

    def judged(self, level: Level, seconds: np.ndarray) -> None:
        """Rows were decided on, so long after the readings that closed them: float64 [M]."""
        self._recorder.observe_many(names.READING_SECONDS, seconds, (level.label,))

    def answered(self, topic: str, records: int) -> None:
        """Everything that these records led to is written."""
        self._recorder.count(names.INGEST_ANSWERED, records, (topic,))

    def dead_lettered(self, topic: str, rejected: Sequence[Rejected]) -> None:
        """These records were refused."""
        for each in rejected:
            self._recorder.count(names.INGEST_DEAD_LETTERS, 1, (topic, each.kind.value))

    def state_written(self, total_bytes: int) -> None:
        """So many bytes of state were written since the worker began."""
        self._recorder.count(names.TELEMETRY_STATE_BYTES, total_bytes - self._state_bytes)
        self._state_bytes = total_bytes

    def lost_state(self, partition: int, reason: str) -> None:
        """A partition begins anew, or with less than it should know."""
        logger.warning("partition %d begins without the whole state of its assets: %s", partition, reason)
        self._recorder.count(names.TELEMETRY_STATE_LOST)
