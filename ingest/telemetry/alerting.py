"""Alerts on their way out: to the store, which knows the budget, then to the topic what is left to tell."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from ingest.backoff import Backoff
from ingest.record import Headers, Polled
from ingest.stages.alert import Alert
from ingest.stages.drift import Drift
from ingest.stages.rows import Rows
from ingest.telemetry.outputs import Destination
from mesh.alerts import AlertEvent
from mesh.errors import StoreAway
from mesh.pipeline.plan import Level
from mesh.review.from_alerts import VOICE
from mesh.routing.types import Voices
from mesh.stores.alerts import AlertWriter, Written
from mesh.stores.alerts.documents import event_json
from mesh.stores.alerts.metering import AlertMetering
from mesh.tracing.context import HEADER
from mesh.tracing.journey import current
from mesh.tracing.span import Attribute

logger = logging.getLogger(__name__)

_BACKOFF_S: Final = (0.1, 5.0)
BUDGET_S: Final = 5.0
"""Between two looks at the budget while no alerts come: its window ends, and other replicas spend of it."""
T = TypeVar("T")


class AlertOutput:
    """The `Alerting` of the chain: rules, then store and topic. Writes of several polls keep their order."""

    def __init__(
        self,
        alert: Alert,
        writer: AlertWriter,
        topic: Destination,
        metering: AlertMetering,
        drift: Drift | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `drift` nobody watches for it; `clock` in seconds."""
        self._alert, self._writer, self._topic, self._metering = alert, writer, topic, metering
        self._drift = drift
        self._in_order = asyncio.Lock()
        self._clock, self._next_look = clock, 0.0

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        """See `Alerting`."""
        judged = self._alert.step(rows, polled, level)
        for each in judged:
            self._metering.judged(each)
        events = with_voices([event for each in judged for event in each.events], rows)
        drifts = self._drift.step(rows, polled) if self._drift is not None else []
        return self._write([*events, *drifts], int(rows.time.max()) if len(rows) else None)

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """See `Alerting`."""
        return self._alert.dump(partition, assets)

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """See `Alerting`."""
        self._alert.begin(partition, states)

    def end(self, partition: int) -> None:
        """See `Alerting`."""
        self._alert.end(partition)
        # Whoever reads no more rows would say for ever what it saw last, and hide what others see; rows to come ask again.
        self._metering.budget_unknown()
        self._next_look = 0.0

    async def _write(self, events: Sequence[AlertEvent], newest: int | None = None) -> None:
        """`newest` is the time of the batch's last row."""
        if not events:
            await self._look_at_budget(newest)
            return
        async with self._in_order:
            began, journey = time.time_ns(), current()
            written = await self._stored(events)
            # The batch's trace goes on in whoever reads the alert.
            headers: Headers = () if journey is None else ((HEADER, journey.context.header.encode()),)
            await self._topic.write(
                [(one.asset.encode(), event_json(one), headers) for one in written.publish]
            )
            if journey is not None:
                journey.step("alert", "producer", began, _told(written))

    async def _stored(self, events: Sequence[AlertEvent]) -> Written:
        """Kept, for as long as that takes."""
        written = await _answered(lambda: self._writer.write(events), len(events))
        self._metering.written(written)
        # By itself: written again, what opened now would be a repeat, and its digest told as one that readers know.
        left = await _answered(lambda: self._writer.budget_left(events[-1].at), len(events))
        self._metering.budget_left(left)
        self._next_look = self._clock() + BUDGET_S
        return written

    async def _look_at_budget(self, now: int | None) -> None:
        """What is left by the rows' time, asked once: where the store is away later rows ask again."""
        if now is None or self._clock() < self._next_look:
            return
        # Before the answer: batches that come meanwhile need not ask too.
        self._next_look = self._clock() + BUDGET_S
        with contextlib.suppress(StoreAway):
            self._metering.budget_left(await self._writer.budget_left(now))


async def _answered(ask: Callable[[], Awaitable[T]], alerts: int) -> T:
    """What the store says, asked until it does."""
    backoff = Backoff(*_BACKOFF_S)
    while True:
        try:
            return await ask()
        except StoreAway as error:
            logger.warning("%d alerts wait and the store is asked again: %s", alerts, error)
            await asyncio.sleep(backoff.delay(error.retry_after_s))


def with_voices(events: Sequence[AlertEvent], rows: Rows) -> Sequence[AlertEvent]:
    """Those that open show what each model said of their row, where several did: `voice.MODEL` among their values."""
    if rows.voices is None or not any(event.kind == "opened" for event in events):
        return events
    places = {pair: row for row, pair in enumerate(zip(rows.assets, rows.time.tolist(), strict=True))}
    return [_voiced(event, rows.voices, places.get((event.asset, event.at))) for event in events]


def _voiced(event: AlertEvent, voices: Voices, row: int | None) -> AlertEvent:
    if event.kind != "opened" or row is None:
        return event
    said = {f"{VOICE}{model}": score for model, score in voices.of(row).items()}
    return replace(event, values={**event.values, **said})


def _told(written: Written) -> dict[str, Attribute]:
    """How many alerts were told to readers, and of which rules."""
    rules = sorted({one.rule for one in written.publish})
    return {"messaging.batch.message_count": len(written.publish), "mesh.alert.rules": ",".join(rules)}
