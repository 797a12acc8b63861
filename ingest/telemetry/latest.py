"""The newest row of every asset, for whoever asks what an asset is like now."""

import asyncio
import logging
import time
from typing import Final

import numpy as np

from ingest.backoff import Backoff
from ingest.stages.rows import Rows
from mesh.stores.errors import OnlineAway
from mesh.stores.online import OnlineStore
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import FeatureView

logger = logging.getLogger(__name__)

_BACKOFF_S: Final = (0.1, 5.0)


class LatestRows:
    """Writes rows to an online store, for as long as that takes."""

    def __init__(self, store: OnlineStore, view: FeatureView) -> None:
        self._store, self._view = store, view

    async def write(self, rows: Rows, /) -> None:
        """Returns when they can be read; older rows than what is there change nothing."""
        created = np.full(len(rows), int(time.time() * 1e3), np.int64)
        batch = FeatureBatch(rows.assets, rows.time, created, rows.flat)
        backoff = Backoff(*_BACKOFF_S)
        while True:
            try:
                await self._store.write(self._view, batch)
                return
            except OnlineAway as error:
                logger.warning("the newest features of %d assets are written again: %s", len(rows), error)
                await asyncio.sleep(backoff.delay())
