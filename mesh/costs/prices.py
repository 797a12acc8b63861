"""A sheet of prices, in one currency."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoragePrices:
    """Of a gigabyte (10^9 bytes) for a month, by tier: Redis is `hot`, whole rows of history `warm`, thinned ones `cold`."""

    hot: float = 0.0
    warm: float = 0.0
    cold: float = 0.0


@dataclass(frozen=True, slots=True)
class Prices:
    """Of an hour of a core, of a GPU and of a gigabyte of memory; of a gigabyte stored and of one moved.

    `source` and `date` say whose prices these are, and of when; both are shown with every figure.
    """

    currency: str
    source: str
    date: str
    cpu_hour: float = 0.0
    gpu_hour: float = 0.0
    memory_gb_hour: float = 0.0
    network_gb: float = 0.0
    storage_gb_month: StoragePrices = StoragePrices()
