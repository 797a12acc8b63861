"""The bill of a running mesh, from the figures of all its processes."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mesh.cli.metrics import sample_of
from mesh.costs import Bill, Prices, Sample, bill, usage_between

APART_S: Final = 5.0
WINDOW_S: Final = 300.0
"""Looks closer together than the first are one; those further back than the second are forgotten."""


class MeasuredCosts:
    """Looks at the figures when it is asked, at most every `APART_S`; the bill is of what lies between its looks."""

    def __init__(
        self,
        prices: Prices,
        read_page: Callable[[], Awaitable[bytes]],
        gpus_of: Mapping[str, float],
        stored_gb: Callable[[], Mapping[str, float]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_page` gives the metrics of all processes; `stored_gb` what lies in each tier, and may block."""
        self._prices, self._read, self._gpus_of, self._stored_gb, self._clock = (
            prices, read_page, gpus_of, stored_gb, clock,
        )  # fmt: skip
        self._looks: deque[Sample] = deque()
        self._stored: tuple[float, Mapping[str, float]] | None = None
        self._looking = asyncio.Lock()

    @property
    def prices(self) -> Prices:
        """As `Costs.prices`."""
        return self._prices

    async def bill(self) -> Bill | None:
        """As `Costs.bill`."""
        async with self._looking:
            now = self._clock()
            if not self._looks or now - self._looks[-1].seconds >= APART_S:
                await self._look(now)
            first, last = self._looks[0], self._looks[-1]
            if first is last:
                return None
            return bill(usage_between(first, last, self._gpus_of, await self._tiers(now)), self._prices)

    async def _look(self, now: float) -> None:
        page = await self._read()
        self._looks.append(sample_of(page.decode(), now))
        while now - self._looks[0].seconds > WINDOW_S:
            self._looks.popleft()

    async def _tiers(self, now: float) -> Mapping[str, float]:
        """Counting what is stored reads folders or a bucket: once in a window is enough."""
        if self._stored is None or now - self._stored[0] > WINDOW_S:
            self._stored = (now, await asyncio.to_thread(self._stored_gb))
        return self._stored[1]
