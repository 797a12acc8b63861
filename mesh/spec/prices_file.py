"""`prices.yaml`: what hours and gigabytes cost, whose prices these are, and of when."""

import datetime as dt
from typing import Annotated

from pydantic import BeforeValidator

from mesh.costs import Prices, StoragePrices
from mesh.spec.fields import NotNegative, Strict, Text


def _date(value: object) -> str:
    """YAML reads an unquoted date as one; text must say one too."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError:
        raise ValueError(f"expected a date, YYYY-MM-DD, got {value!r}") from None


Date = Annotated[str, BeforeValidator(_date, json_schema_input_type=str)]


class StorageEntry(Strict):
    """What a gigabyte costs for a month in each tier."""

    hot: NotNegative = 0.0
    """In Redis."""
    warm: NotNegative = 0.0
    """As whole rows of history."""
    cold: NotNegative = 0.0
    """As thinned rows of history."""


class PricesFile(Strict):
    """The whole file."""

    currency: Text = "USD"
    """The currency of every price."""
    source: Text = "none: write config/prices.yaml"
    """Whose prices these are; shown with every figure."""
    date: Date = "1970-01-01"
    """When they were so."""
    cpu_hour: NotNegative = 0.0
    """An hour of one core."""
    gpu_hour: NotNegative = 0.0
    """An hour of one GPU, used or not."""
    memory_gb_hour: NotNegative = 0.0
    """An hour of a gigabyte of memory."""
    storage_gb_month: StorageEntry = StorageEntry()
    """A gigabyte stored for a month, by tier."""
    network_gb: NotNegative = 0.0
    """A gigabyte moved."""

    def prices(self) -> Prices:
        """The same, for the rest of the mesh."""
        tiers = self.storage_gb_month
        return Prices(
            currency=self.currency,
            source=self.source,
            date=self.date,
            cpu_hour=self.cpu_hour,
            gpu_hour=self.gpu_hour,
            memory_gb_hour=self.memory_gb_hour,
            network_gb=self.network_gb,
            storage_gb_month=StoragePrices(tiers.hot, tiers.warm, tiers.cold),
        )
