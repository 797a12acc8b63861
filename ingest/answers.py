"""Answers → the JSON that Redis readers get, one text a record.

    {"inference_id", "model_id", "input_id", "predictions", "confidence", "answered_by", "rules_version",
     "latency_ms", "received_at", "degraded", "metadata"}

`predictions` are the rows of the answering model's first output; where it has several, the others are under
`outputs` by name. `confidence` has one number a row, null where the model has none; `answered_by` has one object a
row. Values that JSON cannot carry (NaN, infinity) are null. What is the same for all records of a batch is encoded
once and spliced.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import orjson

from ingest.record import Polled, RecordBatch
from mesh.routing.types import Answer

_encode = msgspec.json.Encoder().encode
_NATIVE: Final = "fiub"
_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY


def encode_answers(
    polled: Polled, records: RecordBatch, answer: Answer, chosen: Sequence[int] | None, latency_ms: float
) -> list[bytes]:
    """One JSON text for each record, or for each of the `chosen` places in the group, in order. About 0.7 µs each."""
    rows = _Rows(answer, latency_ms, received_at(polled.received_at))
    group = records.group
    positions, metadata = group.positions, group.metadata
    inputs = list(map(_encode, group.input_ids))
    begins = _beginnings(polled, group.endpoint)
    partitions, offsets = polled.partitions, polled.offsets
    places = range(len(group)) if chosen is None else chosen
    if records.rows_of is None:
        values, confidences, ends = rows.values, rows.confidences, rows.ends
        made = []
        for i in places:
            at = positions[i]
            before, after = begins[partitions[at]]
            made.append(
                b'%b%d%b%b,"predictions":[%b],"confidence":[%b]%b%b}'
                % (before, offsets[at], after, inputs[i], values[i], confidences[i], ends[i], metadata[i])
            )
        return made
    stops = np.cumsum(records.rows_of).tolist()
    starts = [0, *stops[:-1]]
    made = []
    for i in places:
        at = positions[i]
        before, after = begins[partitions[at]]
        body = rows.of(starts[i], stops[i])
        made.append(b"%b%d%b%b%b%b}" % (before, offsets[at], after, inputs[i], body, metadata[i]))
    return made


def received_at(seconds: float) -> str:
    """RFC 3339, in UTC, to the millisecond: `2026-11-23T23:14:03.120Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _beginnings(polled: Polled, model_id: str) -> dict[int, tuple[bytes, bytes]]:
    """What stands before and after the offset, by partition. Topic names need no escaping."""
    after = b'","model_id":%b,"input_id":' % _encode(model_id)
    topic = polled.topic.encode()
    return {
        p: (b'{"inference_id":"%b-%d-' % (topic, p), after) for p in {span.partition for span in polled.spans}
    }


class _Rows:
    """The parts of an answer's JSON that belong to each of its rows."""

    def __init__(self, answer: Answer, latency_ms: float, received: str) -> None:
        n = len(answer)
        outputs = {name: _row_texts(array) for name, array in answer.outputs.items()}
        self._others = dict(list(outputs.items())[1:])
        self.values: Sequence[bytes] = next(iter(outputs.values()), [b"null"] * n)
        self.confidences: Sequence[bytes] = (
            [b"null"] * n if answer.confidence is None else _row_texts(answer.confidence)
        )
        self._origins = [
            b'{"model":%b,"version":%b,"route":%b,"role":%b}'
            % (_encode(origin.model), _encode(origin.version), _encode(origin.route), _encode(origin.role))
            for origin in answer.origins
        ] + [b"null"]
        self._common = b'"rules_version":%b,"latency_ms":%b,"received_at":"%b"' % (
            _encode(answer.rules),
            _encode(round(latency_ms, 3)),
            received.encode(),
        )
        self._origin_of = answer.origin_of.tolist()
        self._degraded = answer.degraded.tolist()
        self.ends: Sequence[bytes] = self._single_ends(answer)

    def of(self, start: int, stop: int) -> bytes:
        """From `predictions` to before the metadata, of a record with these rows."""
        origins = b",".join([self._origins[i] for i in self._origin_of[start:stop]])
        return b',"predictions":[%b],"confidence":[%b]%b' % (
            b",".join(self.values[start:stop]),
            b",".join(self.confidences[start:stop]),
            self._end(origins, self._others_of(start, stop), any(self._degraded[start:stop])),
        )

    def _single_ends(self, answer: Answer) -> list[bytes]:
        """The end of a record with one row, for every row; rows that share an origin share the text."""
        if self._others:
            return [
                self._end(self._origins[origin], self._others_of(row, row + 1), degraded)
                for row, (origin, degraded) in enumerate(zip(self._origin_of, self._degraded, strict=True))
            ]
        made = {
            code: self._end(self._origins[code // 2], b"", bool(code % 2))
            for code in range(2 * len(answer.origins))
        }
        codes = answer.origin_of * 2 + answer.degraded
        return [made.get(code, b"") for code in codes.tolist()]

    def _others_of(self, start: int, stop: int) -> bytes:
        if not self._others:
            return b""
        named = [
            b"%b:[%b]" % (_encode(name), b",".join(rows[start:stop])) for name, rows in self._others.items()
        ]
        return b',"outputs":{%b}' % b",".join(named)

    def _end(self, origins: bytes, others: bytes, degraded: bool) -> bytes:
        flag = b"true" if degraded else b"false"
        return b'%b,"answered_by":[%b],%b,"degraded":%b,"metadata":' % (others, origins, self._common, flag)


def _row_texts(array: np.ndarray) -> list[bytes]:
    """The JSON of each row: a list, or for confidence and other [N] outputs the bare value."""
    if not len(array):
        return []
    if array.dtype.kind not in _NATIVE:
        return [_encode(_texts(row)) for row in array]
    if array.ndim == 1:
        return orjson.dumps(np.ascontiguousarray(array), option=_NUMPY)[1:-1].split(b",")
    whole = np.ascontiguousarray(array)
    if array.ndim == 2 and array.shape[1]:
        rows = orjson.dumps(whole, option=_NUMPY)[2:-2].split(b"],[")
        return [b"[%b]" % row for row in rows]
    return [orjson.dumps(row, option=_NUMPY) for row in whole]


def _texts(value: object) -> object:
    """BYTES elements as text; bytes that are no UTF-8 become replacement characters."""
    if isinstance(value, np.ndarray):
        return [_texts(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
