"""What the mesh costs: measured processor time, memory, bytes and storage times a sheet of prices. Pure: stdlib only.

Every figure is an estimate: prices are those of the sheet, and what no process of the mesh measures is not in it.
"""

from mesh.costs.bill import Bill, Line, bill
from mesh.costs.prices import Prices, StoragePrices
from mesh.costs.usage import ProcessUse, Sample, Usage, usage_between

__all__ = [
    "Bill",
    "Line",
    "Prices",
    "ProcessUse",
    "Sample",
    "StoragePrices",
    "Usage",
    "bill",
    "usage_between",
]
