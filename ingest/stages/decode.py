"""Raw telemetry: the bytes of a poll → readings in columns. What cannot be taken is refused with a reason, what is odd counted.

A record holds every sensor of an asset at a time, `{"asset", "ts", "sensors": {name: value}, "unit"?}`, or one of them,
`{"asset", "ts", "sensor", "value", "unit"?}`. `ts` is RFC 3339 (without a zone: UTC) or milliseconds since 1970. `unit` is a
text for all values, or `{sensor: unit}`. Null is a missing value. Further keys are ignored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np

from ingest.record import Polled, Rejected, RejectKind
from ingest.stages.values import Odd, Oddities, RefusedRecord, Row, Values
from mesh.signals.sensors import Telemetry
from mesh.signals.synchronise import MAX_TIME_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
MAX_ASSET_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class Decoded:
    """N records of a poll in their order.

    `positions` are their places in the poll, `assets` their names, `time` int64 [N] milliseconds since 1970, `values` float64
    [N, S] in declared units with NaN for what is missing. `odd` counts flagged values by kind and sensor. Every other
    record of the poll is in `rejected`.
    """

    positions: Sequence[int]
    assets: Sequence[str]
    time: np.ndarray
    values: np.ndarray
    odd: Mapping[tuple[Odd, str], int]
    rejected: Sequence[Rejected]


class _Strict(msgspec.Struct, gc=False):
    """A record whose values are numbers, as nearly all are."""

    asset: str
    ts: int | float | datetime
    sensors: dict[str, float | None] = {}
    sensor: str | None = None
    value: float | None = None
    unit: str | dict[str, str] | None = None


class _Loose(msgspec.Struct):
    """A record whose values are anything."""

    asset: str
    ts: int | float | datetime
    sensors: dict[str, Any] = {}
    sensor: str | None = None
    value: Any = None
    unit: str | dict[str, str] | None = None


class Decode:
    """Opens polls of raw telemetry; holds no state between them."""

    def __init__(self, telemetry: Telemetry, max_record_bytes: int) -> None:
        self._names = [sensor.name for sensor in telemetry.sensors]
        self._values = Values(telemetry.sensors, telemetry.rules)
        self._flags_range = telemetry.rules.out_of_range == "flag"
        self._ahead_ms, self._age_ms = telemetry.rules.max_ahead_ms, telemetry.rules.max_age_ms
        self._known = telemetry.known_assets
        self._max_bytes = max_record_bytes
        self._strict = msgspec.json.Decoder(_Strict)
        self._loose = msgspec.json.Decoder(_Loose)

    def open(self, polled: Polled) -> Decoded:
        """Every record of the poll is taken or refused. About 3 µs a record of 16 sensors."""
        rejected: list[Rejected] = []
        odd: Oddities = Counter()
        positions: list[int] = []
        assets: list[str] = []
        times: list[int] = []
        rows: list[Row] = []
        for position, value in enumerate(polled.values):
            try:
                record = self._record(value)
                time = self._time(record.ts, polled, position)
                row = self._row(record, odd)
            except RefusedRecord as refused:
                rejected.append(Rejected(position, refused.kind, str(refused)))
                continue
            positions.append(position)
            assets.append(record.asset)
            times.append(time)
            rows.append(row)
        values = np.array(rows, np.float64).reshape(len(rows), len(self._names))
        decoded = Decoded(positions, assets, np.array(times, np.int64), values, odd, rejected)
        return self._in_range(decoded, odd)

    def _record(self, value: bytes | None) -> _Strict | _Loose:
        if value is None:
            raise RefusedRecord(RejectKind.NULL_VALUE, "the record has no value")
        if len(value) > self._max_bytes:
            raise RefusedRecord(RejectKind.TOO_LARGE, f"{len(value)} bytes, the limit is {self._max_bytes}")
        record: _Strict | _Loose
        try:
            record = self._decoded(value)
        except msgspec.ValidationError as error:
            raise RefusedRecord(RejectKind.WRONG_TYPE, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            kind = RejectKind.NOT_JSON if value.strip() else RejectKind.EMPTY_VALUE
            raise RefusedRecord(kind, str(error)) from None
        except RecursionError:
            raise RefusedRecord(RejectKind.TOO_DEEP, "nested too deeply") from None
        asset = record.asset
        if not asset or len(asset) > MAX_ASSET_CHARACTERS:
            reason = f"asset: expected 1 to {MAX_ASSET_CHARACTERS} characters, got {len(asset)}"
            raise RefusedRecord(RejectKind.WRONG_TYPE, reason)
        if self._known and asset not in self._known:
            raise RefusedRecord(
                RejectKind.UNKNOWN_ASSET, f"asset '{asset}' is not in telemetry.yaml's assets.known"
            )
        return record

    def _decoded(self, value: bytes) -> _Strict | _Loose:
        """Both read up to what is wrong: where a type does not fit, the rest may be no JSON at all."""
        try:
            return self._strict.decode(value)
        except msgspec.ValidationError:
            return self._loose.decode(value)

    def _time(self, ts: float | datetime, polled: Polled, position: int) -> int:
        """Milliseconds since 1970. Judged by when Kafka got the record, so that reading it again judges it alike."""
        if isinstance(ts, datetime):
            time = (ts if ts.tzinfo else ts.replace(tzinfo=UTC)) - _EPOCH
            milliseconds = time // _MILLISECOND
        else:
            milliseconds = int(ts)
        kind, stamped = polled.messages[position].timestamp()
        came = stamped if kind else int(polled.received_at * 1e3)
        if not 0 <= milliseconds < MAX_TIME_MS:
            raise RefusedRecord(
                RejectKind.BAD_TIME, f"ts: {milliseconds} ms is no time between 1970 and 2109"
            )
        if milliseconds > came + self._ahead_ms:
            reason = (
                f"ts is {milliseconds - came} ms ahead of when the record came, the limit is {self._ahead_ms}"
            )
            raise RefusedRecord(RejectKind.BAD_TIME, reason)
        if milliseconds < came - self._age_ms:
            reason = f"ts is {came - milliseconds} ms before the record came, the limit is {self._age_ms}"
            raise RefusedRecord(RejectKind.BAD_TIME, reason)
        return milliseconds

    def _row(self, record: _Strict | _Loose, odd: Oddities) -> Row:
        """The record's values in the order of the sensors."""
        if record.unit is None and isinstance(record, _Strict):
            row = self._values.plain(record.sensors)
            if row is not None:
                return row
        given: dict[str, object] = dict(record.sensors)
        if record.sensor is not None:
            given[record.sensor] = record.value
        return self._values.row(given, record.unit, odd)

    def _in_range(self, decoded: Decoded, odd: Oddities) -> Decoded:
        """Without the values, or the records, that are outside their sensor's range."""
        values, outside = decoded.values, self._values.outside(decoded.values)
        if not outside.any():
            return decoded
        if self._flags_range:
            for at in np.flatnonzero(outside.any(axis=0)).tolist():
                odd[Odd.OUT_OF_RANGE, self._names[at]] += int(outside[:, at].sum())
            values[outside] = np.nan
            return decoded
        bad = outside.any(axis=1)
        refused = [
            Rejected(
                decoded.positions[row],
                RejectKind.OUT_OF_RANGE,
                self._values.why_outside(values[row], outside[row]),
            )
            for row in np.flatnonzero(bad).tolist()
        ]
        kept = np.flatnonzero(~bad).tolist()
        return Decoded(
            [decoded.positions[i] for i in kept],
            [decoded.assets[i] for i in kept],
            decoded.time[kept],
            values[kept],
            odd,
            [*decoded.rejected, *refused],
        )
