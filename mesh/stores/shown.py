"""A row of features as programs are shown it, over HTTP and by commands."""

from collections.abc import Sequence

from mesh.stores.rows import OnlineRow
from mesh.stores.times import show_time
from mesh.stores.views import FeatureView

Json = dict[str, object]


def shown_row(
    view: FeatureView, entity: str, event_time: int, created_time: int, values: Sequence[float]
) -> Json:
    """Times as ISO 8601, values by the names of the view's columns."""
    return {
        "entity": entity,
        "view": view.name,
        "transform": view.transform,
        "event_time": show_time(event_time),
        "created_time": show_time(created_time),
        "features": dict(zip(view.columns, values, strict=True)),
    }


def shown_online(view: FeatureView, row: OnlineRow, now: int) -> Json:
    """With its age at `now` (milliseconds since 1970), and whether that is more than the view's ttl."""
    shown = shown_row(view, row.entity, row.event_time, row.created_time, row.values.tolist())
    age = row.age_ms(now)
    return {**shown, "age_ms": age, "stale": age > view.ttl_ms}
