"""A word to the readers of predictions every two seconds: that this replica lives, and what it has done lately."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from mesh.errors import StoreAway
from mesh.stores.predictions.beats import BEAT_S, WINDOW_S, Beat, ModelWindow, SlidingCounts
from mesh.stores.predictions.ports import BeatWriter
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.snapshot import Snapshot

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats until it is stopped. Create it on the event loop that it is to live on."""

    def __init__(
        self,
        writer: BeatWriter,
        replica: str,
        recorder: Recorder,
        *,
        endpoints: Callable[[], Sequence[str]],
        lag: Callable[[], int],
        check_health: Callable[[], None],
        logged: bool,
    ) -> None:
        """A replica that `check_health` raises for does not beat: it is as good as away."""
        self._writer = writer
        self._replica = replica
        self._recorder = recorder
        self._endpoints, self._lag, self._check_health = endpoints, lag, check_health
        self._logged = logged
        self._counts = SlidingCounts(time.monotonic(), WINDOW_S)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat; Redis may appear later."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Beat no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def word(self, now: float) -> Beat:
        """What there is to say at `now`, of `time.monotonic()`."""
        seconds, models = self._counts.take(now, totals(self._recorder.own()))
        return Beat(
            self._replica, self._lag(), round(seconds, 3), models, tuple(self._endpoints()), self._logged
        )

    async def _run(self) -> None:
        silent = ""
        while True:
            try:
                self._check_health()
                await self._writer.beat(self.word(time.monotonic()))
                silent = ""
            except StoreAway as error:
                if not silent:
                    logger.warning("no heartbeat: %s", error)
                silent = str(error)
            except Exception as error:  # noqa: BLE001 - what is wrong with the reader is for health to say
                if not silent:
                    logger.warning("no heartbeat while the reader is unwell: %s", error)
                silent = str(error)
            await asyncio.sleep(BEAT_S)


def totals(recorded: Snapshot) -> dict[str, ModelWindow]:
    """Answered and failed records by endpoint, since the process began."""
    answered = recorded.counters.get(names.INFERENCE_PREDICTIONS.name, {})
    failed = recorded.counters.get(names.INFERENCE_ERRORS.name, {})
    seconds = recorded.histograms.get(names.INFERENCE_SECONDS.name, {})
    return {
        labels[0]: ModelWindow(
            int(answered.get(labels, 0)),
            int(failed.get(labels, 0)),
            seconds[labels].total if labels in seconds else 0.0,
        )
        for labels in answered.keys() | failed.keys()
    }
