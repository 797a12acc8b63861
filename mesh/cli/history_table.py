"""The history of a view as records of the inference topic, in the order of event time."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from mesh.cli.attributes import Setting
from mesh.cli.stores import place_of
from mesh.cli.table import Inference, Record, Skipped
from mesh.errors import InvalidInput, MeshError
from mesh.routing.problems import nearest
from mesh.stores.slices import slices_of

if TYPE_CHECKING:
    from mesh.stores.delta_reader import DeltaReader
    from mesh.stores.rows import FeatureBatch
    from mesh.stores.views import FeatureView

DELTA: Final = "delta:"
"""What an argument begins with that names a Delta table, or a view's own history where nothing follows."""
FIRST_MS: Final = 0
LAST_MS: Final = 253_402_300_800_000
"""The year 10000: past what dates can say."""


@dataclass(slots=True)
class HistoryTable:
    """The rows of `view` with start ≤ event time < end (ms since 1970), an hour of them held at a time.

    `columns` are those of each record's features, in their order.
    """

    reader: "DeltaReader"
    view: "FeatureView"
    columns: Sequence[str]
    settings: Sequence[Setting] = ()
    model: str | None = None
    start: int = FIRST_MS
    end: int = LAST_MS
    skipped: Skipped = field(default_factory=Skipped)

    def check(self) -> tuple[str, ...]:
        """The feature columns; `InvalidInput` names one that the view does not have."""
        for name in self.columns:
            if name not in self.view.columns:
                reason = f"view '{self.view.name}' has no '{name}'{nearest(name, self.view.columns)}"
                raise InvalidInput("--features", reason)
        return tuple(self.columns)

    def count(self) -> int:
        """About how many rows there are: those of all days that the time reaches into."""
        return sum(sum(self.reader.files(day).values()) for day in self.reader.days(self.start, self.end - 1))

    def records(self, first_row: int = 0) -> Iterator[Record]:
        """Every row once; `first_row` is the number of the first one."""
        places = [self.view.columns.index(name) for name in self.check()]
        encode, row = msgspec.json.Encoder().encode, first_row
        for batch in self._hours():
            values = batch.values[:, places].tolist()
            for entity, time, features in zip(batch.entities, batch.event_time.tolist(), values, strict=True):
                metadata: dict[str, object] = {
                    self.view.entity: entity,
                    self.view.event_time: time,
                    self.view.transform_key: self.view.transform,
                }
                metadata |= {one.name: one.value for one in self.settings if one.applies(row)}
                record = Inference(f"{entity}@{time}", [features], self.model, metadata)
                yield Record(encode(record), entity.encode(), time / 1e3)
                row += 1

    def _hours(self) -> Iterator["FeatureBatch"]:
        for day in self.reader.days(self.start, self.end - 1):
            for one in slices_of(day, self.start, self.end):
                yield self.reader.stretch(one.start, one.end)


def history_table(
    argument: str, view: str, features: Sequence[str], settings: Sequence[Setting], model: str | None
) -> HistoryTable:
    """What `delta:` or `delta:PATH` names: the history of a view, there or where the view keeps it.

    Raises `NotFound` for an unknown view and `StoreFailed` where there is no table.
    """
    place, path = place_of(view), argument.removeprefix(DELTA)
    try:
        reader = importlib.import_module("mesh.stores.delta_reader").DeltaReader(
            path or place.history, place.view
        )
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[features]'") from None
    return HistoryTable(reader, place.view, tuple(features) or place.view.columns, settings, model)
