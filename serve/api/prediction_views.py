"""Predictions as the API shows them: what ingest published, and the cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mesh.stores.predictions import Entry


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """Who answered a row."""

    model: str
    version: str
    route: str
    role: str


@dataclass(frozen=True, slots=True)
class PredictionView:
    """One record's answer. `predictions` are rows of the model's first output, `outputs` its others by name, where it has any.

    `confidence` and `answered_by` have one entry a row; `inference_id` is topic-partition-offset; `latency_ms` is from the
    record's receipt to its answer, `received_at` RFC 3339.
    """

    cursor: str
    inference_id: str
    model_id: str
    input_id: str | None
    predictions: list[Any]
    confidence: list[float | None]
    answered_by: list[AnsweredBy | None]
    rules_version: str
    latency_ms: float
    received_at: str
    degraded: bool
    metadata: Mapping[str, Any]
    outputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PredictionPage:
    """Predictions, newest first; `cursor` asks for the next page and is null after the last."""

    predictions: list[PredictionView]
    cursor: str | None


def page_json(entries: Sequence[Entry], cursor: str | None) -> bytes:
    """A `PredictionPage`: the documents as they stand in the log, not decoded, each with its cursor before it."""
    shown = b",".join(
        b'{"cursor":"%b",%b' % (one.cursor.encode(), one.document.lstrip()[1:]) for one in entries
    )
    return b'{"predictions":[%b],"cursor":%b}' % (shown, orjson.dumps(cursor))
