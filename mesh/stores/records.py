"""Records of a features topic become rows of a view; what is none is refused with its reason, and the others go on."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from mesh.stores.rows import FeatureBatch
from mesh.stores.views import KAFKA_TIME, FeatureView

MAX_ENTITY: Final = 256
"""Letters of an entity's name."""


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """One Kafka record; `timestamp_ms` is Kafka's own time of it."""

    partition: int
    offset: int
    timestamp_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """`rows` of the view, their Kafka `partition` and `offset` int64 [N], and how many were refused for which reason."""

    rows: FeatureBatch
    partition: np.ndarray
    offset: np.ndarray
    refused: Mapping[str, int]


class Refused(Exception):
    """A record that is no row of the view; the message is one of few reasons."""


class _Record(msgspec.Struct):
    features: list[list[float]]
    metadata: dict[str, msgspec.Raw] = {}


_DECODER: Final = msgspec.json.Decoder(_Record)
_TEXT: Final = msgspec.json.Decoder(str)
_WHOLE: Final = msgspec.json.Decoder(int)

_Row = tuple[str, int, int, list[float]]


class RowDecoder:
    """Reads records by what a view declares."""

    def __init__(self, view: FeatureView) -> None:
        self._view = view

    def decode(self, records: Iterable[FeatureRecord]) -> Decoded:
        """Rows in the order of the records."""
        rows: list[_Row] = []
        places: list[tuple[int, int]] = []
        refused: Counter[str] = Counter()
        for record in records:
            try:
                rows.append(self._row(record))
            except Refused as error:
                refused[str(error)] += 1
            else:
                places.append((record.partition, record.offset))
        where = np.array(places, np.int64).reshape(-1, 2)
        return Decoded(_batch(rows, len(self._view.columns)), where[:, 0], where[:, 1], refused)

    def _row(self, record: FeatureRecord) -> _Row:
        view = self._view
        try:
            read = _DECODER.decode(record.value)
        except msgspec.DecodeError:
            raise Refused("not a record of features") from None
        said = read.metadata
        if _text(said, view.transform_key) != view.transform:
            raise Refused("another transform")
        entity = _text(said, view.entity)
        if not 0 < len(entity) <= MAX_ENTITY:
            raise Refused("no entity")
        created = record.timestamp_ms if view.created_time == KAFKA_TIME else _time(said, view.created_time)
        if len(read.features) != 1 or len(read.features[0]) != len(view.columns):
            raise Refused("another width")
        if not all(map(math.isfinite, read.features[0])):
            raise Refused("not finite")
        return entity, _time(said, view.event_time), created, read.features[0]


def _text(said: Mapping[str, msgspec.Raw], key: str) -> str:
    try:
        return _TEXT.decode(said.get(key, b'""'))
    except msgspec.DecodeError:
        return ""


def _time(said: Mapping[str, msgspec.Raw], key: str) -> int:
    try:
        found = _WHOLE.decode(said.get(key, b""))
    except msgspec.DecodeError:
        raise Refused("no time") from None
    if not 0 <= found < 253_402_300_800_000:  # the year 10000: past what dates and files can say
        raise Refused("no time")
    return found


def _batch(rows: Sequence[_Row], width: int) -> FeatureBatch:
    entities, event_time, created_time, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return FeatureBatch(
        entities,
        np.array(event_time, np.int64),
        np.array(created_time, np.int64),
        np.array(values, np.float64).reshape(-1, width),
    )
