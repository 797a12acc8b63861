"""Rows to scores, and scores to alerts. Models are asked for several polls at a time; alerts are decided poll after poll."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ingest.record import Polled
from ingest.stages.rows import Rows, joined
from ingest.stages.score import LeftOut, Score
from ingest.telemetry.chain import Computed
from ingest.telemetry.delays import RecentDelays
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.past import with_alerts
from ingest.telemetry.snapshots import Cut
from mesh.pipeline.plan import Level, PipelinePlan

logger = logging.getLogger(__name__)

_RECENT_MS = 10_000
_RECENT_DELAYS_S = 5.0
_COMPLAIN_EVERY_S = 10.0


class Alerting(Protocol):
    """Decides which rows alert. Holds the state of rules by partition and asset."""

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        """Decide at once, in the order of calls; what is returned writes the alerts that this opened and cleared."""
        ...

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """The state of those of these assets that have one."""
        ...

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """A partition is ours now."""
        ...

    def end(self, partition: int) -> None:
        """A partition is another's now."""
        ...


class Judging:
    """Runs the stages of the plan that wait for models."""

    def __init__(
        self,
        plan: PipelinePlan,
        scores: Mapping[str, Score],
        alerting: Alerting | None,
        metering: ChainMetering,
    ) -> None:
        """`scores` are the plan's score stages by name."""
        self._plan, self._scores, self._alerting, self._metering = plan, scores, alerting, metering
        self._alert = next((stage for stage in plan.stages if stage.kind == "alert"), None)
        self._allowed_ms = {name: plan.deadline_ms * plan.share_until(name) for name in scores}
        self._last: asyncio.Future[None] | None = None
        self._delays = RecentDelays(_RECENT_DELAYS_S)
        self._complained = 0.0

    def turn(
        self, polled: Polled, computed: Computed, level: Level, cuts: list[Cut]
    ) -> Coroutine[None, None, list[Cut]]:
        """Judge a poll; its place in the order is taken now. Returns `cuts` with the state of alerts after it."""
        before, self._last = self._last, asyncio.get_running_loop().create_future()
        return self._judge(polled, computed, level, cuts, before, self._last)

    def p95_ms(self, now: float) -> float:
        """Of the rows decided on in the last seconds, 95 % took at most so long since Kafka had their records."""
        return self._delays.p95_ms(now)

    async def settled(self) -> None:
        """Returns when every poll whose turn was taken has been decided."""
        if self._last is not None:
            await asyncio.wait([self._last])

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """A partition is ours now, with the alerts' state of its assets."""
        if self._alerting is not None:
            self._alerting.begin(partition, states)

    def end(self, partition: int) -> None:
        """A partition is another's now."""
        if self._alerting is not None:
            self._alerting.end(partition)

    def complete(self, cuts: Sequence[Cut]) -> list[Cut]:
        """The same cuts with the state of alerts as it is now."""
        if self._alerting is None:
            return [replace(cut, states=with_alerts(cut.states, {})) for cut in cuts]
        return [
            replace(
                cut,
                states=with_alerts(cut.states, self._alerting.dump(cut.partition, list(cut.states))),
            )
            for cut in cuts
        ]

    async def _judge(
        self,
        polled: Polled,
        computed: Computed,
        level: Level,
        cuts: list[Cut],
        before: asyncio.Future[None] | None,
        mine: asyncio.Future[None],
    ) -> list[Cut]:
        try:
            read_at = _read_at(polled, computed)
            rows = await self._scored(computed, read_at, level)
            if before is not None:
                await before
            writing = None
            if self._alerting is not None and self._alert is not None and level <= self._alert.upto:
                writing = self._alerting.step(rows, polled, level)
            complete = self.complete(cuts)
        finally:
            if not mine.done():
                mine.set_result(None)
        if len(rows):
            self._metering.judged(level, time.time() - read_at / 1e3)
            now = time.monotonic()
            self._delays.add(np.full(len(rows), polled.waited_ms + 1e3 * (now - polled.received)), now)
        if writing is not None:
            await writing
        return complete

    async def _scored(self, computed: Computed, read_at: np.ndarray, level: Level) -> Rows:
        """What the alert stage takes: the windows with the columns of every stage before it."""
        known = dict(computed.rows)
        for stage in self._plan.stages:
            if stage.kind == "score":
                rows = known[stage.after[0]]
                deadline = _deadline(read_at, self._allowed_ms[stage.name])
                known[stage.name] = await self._score(stage.name, rows, deadline, level)
        if self._alert is None:
            return computed.windows
        return joined([known[name] for name in self._alert.after])

    async def _score(self, name: str, rows: Rows, deadline: float, level: Level) -> Rows:
        began = time.perf_counter()
        try:
            return await self._scores[name].step(rows, level, deadline)
        except LeftOut as reason:
            self._metering.left_out(name, len(rows))
            now = time.monotonic()
            if now - self._complained > _COMPLAIN_EVERY_S:
                self._complained = now
                logger.warning("stage %s was left out for %d rows: %s", name, len(rows), reason)
            return rows
        finally:
            self._metering.stage(name, time.perf_counter() - began)


def _deadline(read_at: np.ndarray, allowed_ms: float) -> float:
    """When a stage must have answered: a monotonic time, from the time of the oldest reading that closed a row."""
    if not len(read_at):
        return time.monotonic()
    return time.monotonic() + (float(read_at.min()) + allowed_ms) / 1e3 - time.time()


def _read_at(polled: Polled, computed: Computed) -> np.ndarray:
    """When the reading that closed each row was made: float64 [M] epoch milliseconds.

    Kafka's time of the record stands for a reading's own where that is far from it: what is played back has times that say
    nothing about how long it waited.
    """
    decoded, cause = computed.decoded, computed.windows.cause
    own = np.zeros(len(polled))
    own[list(decoded.positions)] = decoded.time
    stamps = [polled.messages[at].timestamp() for at in cause.tolist()]
    came = np.array([at if kind else polled.received_at * 1e3 for kind, at in stamps], np.float64)
    return np.where(np.abs(came - own[cause]) <= _RECENT_MS, own[cause], came)
