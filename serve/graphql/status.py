"""Is the stream alive? From the heartbeats of ingest's replicas, asked for at most once a second."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from mesh.errors import NotFound, StoreAway
from mesh.routing.problems import nearest
from mesh.stores.predictions.beats import Heard, StreamState, state_of
from mesh.stores.predictions.ports import BeatReader
from serve.graphql.refusals import LogOff

KEPT_S: Final = 1.0


class StreamStatus:
    """What is known of the stream. Belongs to one event loop."""

    def __init__(self, beats: BeatReader) -> None:
        self._beats = beats
        self._heard: Sequence[Heard] = ()
        self._away = True
        self._asked_at = -KEPT_S
        self._asking = asyncio.Lock()

    async def state(self, model_id: str) -> StreamState:
        """The state of one endpoint. Raises `NotFound` where replicas are there and none knows it.

        Without Redis nobody can know: not connected, and the last heartbeat that was heard of before.
        """
        await self._ask()
        if self._away:
            last = max((one.at for one in self._heard), default=None)
            return StreamState(connected=False, last_heartbeat_at=last)
        self._check(model_id)
        return state_of(model_id, self._heard)

    async def admit(self, model_id: str) -> None:
        """Raises `NotFound` and `LogOff` for a subscription that could never get anything, as far as anybody knows."""
        await self._ask()
        if not self._away:
            self._check(model_id)
            fresh = [one.beat for one in self._heard if one.fresh]
            if fresh and not any(beat.logged for beat in fresh):
                raise LogOff

    def _check(self, model_id: str) -> None:
        known = {name for one in self._heard if one.fresh for name in one.beat.endpoints}
        if known and model_id not in known:
            raise NotFound(f"modelId: no model or endpoint '{model_id[:80]}'{nearest(model_id, known)}")

    async def _ask(self) -> None:
        async with self._asking:
            if time.monotonic() - self._asked_at < KEPT_S:
                return
            try:
                self._heard = await self._beats.heard()
                self._away = False
            except StoreAway:
                self._away = True
            self._asked_at = time.monotonic()
