"""A bill: what was used, priced, as cost an hour, and what that is for a thousand records and for an alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mesh.costs.prices import Prices
from mesh.costs.usage import HOUR_S, Usage

MONTH_H: Final = 730.0
"""Hours in a month, as price lists count."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one thing uses in an hour, and its cost an hour: `item` of `owner`, which is a process, a tier or the mesh."""

    owner: str
    item: str
    amount: float
    unit: str
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class Bill:
    """An estimate. Costs are in the sheet's currency; one is None where there was nothing to divide by."""

    prices: Prices
    lines: tuple[Line, ...]
    seconds: float
    level: int
    per_hour: float
    per_1000_records: float | None
    per_alert: float | None
    per_true_alert: float | None

    @property
    def by_owner(self) -> Mapping[str, float]:
        """Cost an hour of each process, tier and the rest."""
        costs: dict[str, float] = {}
        for line in self.lines:
            costs[line.owner] = costs.get(line.owner, 0.0) + line.cost_per_hour
        return costs


def bill(usage: Usage, prices: Prices, true_share: float | None = None) -> Bill:
    """Price what was used. `true_share` of the alerts were true; None where nobody knows."""
    lines = tuple(_lines(usage, prices))
    per_hour = sum(line.cost_per_hour for line in lines)
    spent = per_hour * usage.seconds / HOUR_S
    true_alerts = 0.0 if true_share is None else true_share * usage.alerts
    return Bill(
        prices=prices,
        lines=lines,
        seconds=usage.seconds,
        level=usage.level,
        per_hour=per_hour,
        per_1000_records=1_000 * spent / usage.records if usage.records else None,
        per_alert=spent / usage.alerts if usage.alerts else None,
        per_true_alert=spent / true_alerts if true_alerts else None,
    )


def _lines(usage: Usage, prices: Prices) -> list[Line]:
    hours = usage.seconds / HOUR_S
    lines: list[Line] = []
    for one in usage.processes:
        cores, held = one.cpu_s / usage.seconds, one.memory_gb_h / hours
        lines.append(Line(one.process, "processor", cores, "cores", cores * prices.cpu_hour))
        lines.append(Line(one.process, "memory", held, "GB", held * prices.memory_gb_hour))
    if usage.gpus:
        lines.append(Line("models", "gpu", usage.gpus, "GPUs", usage.gpus * prices.gpu_hour))
    moved = usage.network_gb / hours
    lines.append(Line("stream", "network", moved, "GB/h", moved * prices.network_gb))
    sheet = prices.storage_gb_month
    of = {"hot": sheet.hot, "warm": sheet.warm, "cold": sheet.cold}
    lines += [
        Line(f"store, {tier}", "storage", stored, "GB", stored * of[tier] / MONTH_H)
        for tier, stored in usage.stored_gb.items()
    ]
    return lines
