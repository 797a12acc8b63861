"""`GET /mesh/cost`: what the mesh uses, at the prices of prices.yaml. An estimate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import APIRouter

from mesh.costs import Bill, Prices
from serve.api.errors import Responses, away

_AWAY: Final[Responses] = away("The scoreboard")


class Costs(Protocol):
    """What knows the bill."""

    @property
    def prices(self) -> Prices:
        """The sheet."""
        ...

    async def bill(self) -> Bill | None:
        """Of the last minutes; None until two looks at the figures lie apart. Raises `StoreAway`."""
        ...


@dataclass(frozen=True, slots=True)
class LineView:
    """What one process, tier or the mesh uses, and its cost an hour."""

    owner: str
    item: str
    amount: float
    unit: str
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class CostView:
    """An estimate over the last `seconds`, in `currency`, at prices of `date` from `source`; no lines before the second look.

    A cost is null where there was nothing to divide by. `level` is that of the telemetry chain.
    """

    currency: str
    source: str
    date: str
    seconds: float
    level: int
    per_hour: float | None
    per_1000_records: float | None
    per_alert: float | None
    by_owner: Mapping[str, float]
    lines: list[LineView]


def costs_router(costs: Costs) -> APIRouter:
    """The route over `costs`. Errors are the mesh's own, for whoever hosts the router to answer."""
    router = APIRouter(tags=["mesh"])

    @router.get("/mesh/cost", summary="What the mesh costs, an estimate", responses=_AWAY)
    async def cost() -> CostView:
        """Measured processor time, memory, bytes and storage times the sheet of prices, over up to five minutes."""
        return cost_view(costs.prices, await costs.bill())

    return router


def cost_view(prices: Prices, found: Bill | None) -> CostView:
    """A bill as JSON shows it."""
    head = (prices.currency, prices.source, str(prices.date))
    if found is None:
        return CostView(*head, 0.0, 0, None, None, None, {}, [])
    lines = [LineView(one.owner, one.item, one.amount, one.unit, one.cost_per_hour) for one in found.lines]
    return CostView(
        *head, found.seconds, found.level, found.per_hour, found.per_1000_records, found.per_alert, found.by_owner, lines
    )  # fmt: skip
