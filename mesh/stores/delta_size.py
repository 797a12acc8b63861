"""How large a view's table is, by tier, from its log alone."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from mesh.stores.delta_table import COLD, FULL, open_table, told
from mesh.stores.views import FeatureView

_TIERS: Final = {FULL: "warm", COLD: "cold"}


def bytes_by_tier(address: str, view: FeatureView) -> Mapping[str, int]:
    """Bytes of the files that the table is now made of; `warm` are whole rows, `cold` thinned ones.

    Files that it was made of before, and which `hyperstream store compact` has not removed yet, are not counted. `StoreFailed`
    without a table.
    """
    table = open_table(address, view)
    with told(address):
        added = pa.table(table.get_add_actions(flatten=True))
    sizes = dict.fromkeys(_TIERS.values(), 0)
    if added.num_rows:
        for tier, size in zip(
            added["partition.tier"].to_pylist(), added["size_bytes"].to_pylist(), strict=True
        ):
            sizes[_TIERS[tier]] += size
    return sizes
