"""The figures of all processes in one place: a named Ray actor that adds them up for Prometheus."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ray.exceptions import RayError

from mesh.bounded import within
from mesh.cluster.actors import end_this_actor, find_or_start
from mesh.cluster.metrics_access import guarded_port
from mesh.cluster.metrics_port import MetricsPort
from mesh.errors import StoreAway
from mesh.settings import Settings
from mesh.telemetry.node import NodeMeter
from mesh.telemetry.process import ProcessMeter
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.snapshot import Snapshot
from mesh.telemetry.summary import Summary
from mesh.telemetry.totals import Totals

NAME: Final = "hyperstream-scoreboard"
PUSH_S: Final = 1.0
IDLE_S: Final = 60.0

_CALL_TIMEOUT_S = 2.0
_RETRY_S = 5.0

logger = logging.getLogger("ray.serve")


class Scoreboard:
    """The actor around `Totals`. With a port, it answers `GET /metrics` there.

    Started on the head node always, so that Prometheus knows where to look in a cluster of many.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin with nothing; processes push what they have recorded since they began.

        Raises `InvalidConfig` for TLS that cannot be had.
        """
        self._totals = Totals()
        self._last_push = time.monotonic()
        self._port = None if settings.prometheus_port is None else _port(settings, self._page)
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    async def push(self, process_id: str, snapshot: Snapshot) -> None:
        """Take over what a process has recorded so far."""
        self._start()
        self._last_push = time.monotonic()
        self._totals.take(process_id, snapshot, self._last_push)

    async def end(self, process_id: str, snapshot: Snapshot) -> None:
        """The same, for the last time."""
        await self.push(process_id, snapshot)
        self._totals.end(process_id)

    async def summary(self, window_s: float = 5.0) -> Summary:
        """What the live view shows; rates over about the last `window_s` seconds."""
        return self._totals.summary(time.monotonic(), window_s)

    async def exposition(self) -> bytes:
        """All metrics in Prometheus' text format. Raises `StoreAway` while sums are too small, after a restart."""
        return self._page()

    def _page(self) -> bytes:
        now = time.monotonic()
        if not self._totals.whole(now):
            raise StoreAway("the scoreboard", "it began anew and has not heard of every process yet")
        return self._totals.exposition(now)

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        if self._port is not None:
            self._tasks.add(asyncio.get_running_loop().create_task(self._port.serve_forever()))
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        left = self._last_push + IDLE_S - time.monotonic()
        if left <= 0:
            end_this_actor()
        else:
            asyncio.get_running_loop().call_later(left, self._end_if_idle)


def _port(settings: Settings, exposition: Callable[[], bytes]) -> MetricsPort:
    # Whoever came first has started this actor, perhaps from another machine, whose address is not to be had here.
    host = os.environ.get("MESH_HOST") or settings.mesh_host
    return guarded_port(settings, host, settings.prometheus_port or 0, exposition)


class Reporter:
    """Pushes this process's recorder to the scoreboard every second, from `start` until `stop`."""

    def __init__(
        self,
        process: str,
        process_id: str,
        recorder: Recorder,
        settings: Settings,
        before_push: Callable[[], None] | None = None,
    ) -> None:
        """`process` is what it does, such as `router`; `process_id` is unique to it.

        `before_push` sets the gauges of what changes too often to be told of.
        """
        self._before_push = [] if before_push is None else [before_push]
        self._process_id = process_id
        self._recorder = recorder
        self._meter = ProcessMeter(process)
        self._node = NodeMeter()
        self._settings = settings
        self._scoreboard: Any = None
        self._task: asyncio.Task[None] | None = None

    def before_push(self, read: Callable[[], None]) -> None:
        """Call `read` too before every push, the last one included."""
        self._before_push.append(read)

    def start(self) -> None:
        """Begin to push, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Push for the last time; without a scoreboard, what was recorded since the last push is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._scoreboard is not None:
            self._read()
            try:
                await _call(self._scoreboard.end.remote(self._process_id, self._recorder.snapshot()))
            except (RayError, TimeoutError) as error:
                logger.warning("last figures of %s not pushed: %s", self._process_id, error)

    async def _run(self) -> None:
        while True:
            try:
                if self._scoreboard is None:
                    self._scoreboard = await find_or_start(NAME, Scoreboard, self._settings, on_head=True)
                self._meter.record(self._recorder)
                await self._node.record(self._recorder, time.monotonic())
                self._read()
                await _call(self._scoreboard.push.remote(self._process_id, self._recorder.snapshot()))
                await asyncio.sleep(PUSH_S)
            # ValueError: Ray's word for a named actor that is between two lives.
            except (RayError, TimeoutError, ValueError) as error:
                self._scoreboard = None
                logger.warning("scoreboard does not answer, trying again: %s", error)
                await asyncio.sleep(_RETRY_S)
            except Exception:  # whatever it is, the figures of a whole process are worth another try
                logger.exception("the figures of %s could not be read, trying again", self._process_id)
                await asyncio.sleep(_RETRY_S)

    def _read(self) -> None:
        for read in self._before_push:
            read()


async def read_summary(settings: Settings, window_s: float = 5.0) -> Summary:
    """What the live view shows, from any process of the cluster. Raises `StoreAway` where the scoreboard does not answer."""
    with _answering():
        scoreboard = await find_or_start(NAME, Scoreboard, settings, on_head=True)
        summary: Summary = await within(_CALL_TIMEOUT_S, scoreboard.summary.remote(window_s))
        return summary


async def read_exposition(settings: Settings) -> bytes:
    """All metrics in Prometheus' text format, from any process of the cluster; raises as `read_summary`."""
    with _answering():
        scoreboard = await find_or_start(NAME, Scoreboard, settings, on_head=True)
        page: bytes = await within(_CALL_TIMEOUT_S, scoreboard.exposition.remote())
        return page


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise StoreAway("the scoreboard", f"nothing within {_CALL_TIMEOUT_S:g} s") from None
    # ValueError: Ray's word for a named actor that is between two lives.
    except (RayError, ValueError) as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, StoreAway):
            raise cause from error
        raise StoreAway("the scoreboard", str(error).partition("\n")[0]) from error


async def _call(reference: Any) -> None:
    await within(_CALL_TIMEOUT_S, reference)
