"""Reads both sides for a comparison, the history first; see `parity`."""

import asyncio
from typing import Protocol

from mesh.stores.online import OnlineStore
from mesh.stores.parity import Parity, compare
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import FeatureView
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


class Newest(Protocol):
    """The history; see `DeltaReader`."""

    def newest(self, limit: int, days: int) -> FeatureBatch:
        """The newest row of at most `limit` entities."""
        ...


async def check_parity(
    view: FeatureView, history: Newest, online: OnlineStore, sample: int, days: int, now: int
) -> Parity:
    """Compare at most `sample` entities, found in the newest `days` of the history. Raises `OnlineAway`, `StoreFailed`."""
    offline = await asyncio.to_thread(history.newest, sample, days)
    return compare(view, offline, await online.read(view, offline.entities), now)


def record_parity(recorder: Recorder, view: FeatureView, parity: Parity) -> None:
    """Set the metric: entities by outcome, zeros included, so that a fault that is mended goes."""
    for outcome, count in parity.counts.items():
        recorder.set(names.FEATURES_PARITY, count, (view.name, outcome))
