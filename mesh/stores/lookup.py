"""The online row of one entity, or why there is none. Commands and HTTP ask the same question."""

from mesh.errors import NotFound
from mesh.stores.online import OnlineStore
from mesh.stores.rows import OnlineRow
from mesh.stores.views import FeatureView


async def online_row(store: OnlineStore, view: FeatureView, entity: str) -> OnlineRow:
    """Raises `NotFound` naming the entity, also where its row was computed by another transform; `OnlineAway`."""
    (row,) = await store.read(view, [entity])
    if row is None:
        raise NotFound(
            f"no features of '{entity}' in view '{view.name}': none came within its ttl of {view.ttl_ms / 1_000:g} s"
        )
    if row.transform != view.transform or len(row.values) != len(view.columns):
        raise NotFound(
            f"no features of '{entity}' in view '{view.name}' with transform {view.transform}: "
            f"the newest were computed by {row.transform}"
        )
    return row
