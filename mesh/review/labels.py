"""Adjudicated labels: from the database, or in memory for tests and trials."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import select, tuple_

from mesh.alerts import Place
from mesh.errors import InvalidInput
from mesh.records.database import Database
from mesh.review.adjudication import Basis
from mesh.review.ports import AdjudicatedLabel, LabelPage
from mesh.review.tables import ItemRow, LabelRow
from mesh.review.values import Label

MAX_LIMIT = 1_000


class DatabaseLabels:
    """`AdjudicatedLabels` over the records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def labels(
        self, since: int = 0, cursor: str | None = None, limit: int = 500, *, also_excluded: bool = False
    ) -> LabelPage:
        """As `AdjudicatedLabels.labels`."""
        wanted = select(LabelRow, ItemRow).join(ItemRow, ItemRow.id == LabelRow.item)
        wanted = wanted.where(LabelRow.at >= since)
        if not also_excluded:
            wanted = wanted.where(LabelRow.standing.is_not(None))
        if cursor is not None:
            wanted = wanted.where(tuple_(LabelRow.at, LabelRow.id) > tuple_(*read_cursor(cursor)))
        wanted = wanted.order_by(LabelRow.at, LabelRow.id).limit(limit + 1)
        with self._database.read() as session:
            found = [_label(label, item) for label, item in session.execute(wanted)]
        return _page(found, limit)


class MemoryLabels:
    """`AdjudicatedLabels` in this process."""

    def __init__(self, labels: Iterable[AdjudicatedLabel] = ()) -> None:
        self._labels = {one.id: one for one in labels}

    def add(self, label: AdjudicatedLabel) -> None:
        """Take a label; one with a known id takes its place."""
        self._labels[label.id] = label

    def labels(
        self, since: int = 0, cursor: str | None = None, limit: int = 500, *, also_excluded: bool = False
    ) -> LabelPage:
        """As `AdjudicatedLabels.labels`."""
        after = (-1, "") if cursor is None else read_cursor(cursor)
        found = sorted(self._labels.values(), key=lambda one: (one.at, one.id))
        kept = [one for one in found if one.at >= since and (one.at, one.id) > after]
        return _page([one for one in kept if also_excluded or not one.excluded][: limit + 1], limit)


def read_cursor(text: str) -> tuple[int, str]:
    """Time and id of the last of a page; `InvalidInput` for a text that no page gave."""
    at, colon, key = text.partition(":")
    if not (at.isascii() and at.isdigit() and len(at) < 19 and colon and key):
        raise InvalidInput("cursor", f"'{text[:60]}' is none; take the cursor of the page before")
    return int(at), key


def _page(found: Sequence[AdjudicatedLabel], limit: int) -> LabelPage:
    shown = tuple(found[:limit])
    return LabelPage(shown, f"{shown[-1].at}:{shown[-1].id}" if len(found) > limit else None)


def _label(row: LabelRow, item: ItemRow) -> AdjudicatedLabel:
    place: Any = None
    if item.topic is not None and item.partition is not None and item.offset is not None:
        place = Place(item.topic, item.partition, item.offset)
    return AdjudicatedLabel(
        id=row.id,
        item=row.item,
        asset=item.asset,
        row_time=item.row_time,
        label=cast("Label", row.label),
        weight=1.0 / item.inclusion if item.inclusion else 1.0,
        basis=cast("Basis", row.basis),
        actors=tuple(row.actors),
        decisions=tuple(row.decisions),
        at=row.at,
        place=place,
        excluded=row.standing is None,
        predicted="anomaly" if item.flagged else "normal",
        model=item.model,
        version=item.version,
        audit=item.source == "audit",
    )
