"""The values that pass between the stages of the stream: what was polled, what was opened, what was refused.

All are frozen. Lists inside them are shared, not copied: treat them as read-only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Final, Protocol

import numpy as np

from mesh.routing.types import Batch, Variant

Features = bytes | memoryview
"""The raw JSON of a record's features. A memoryview is a part of the record's value that reads `[[...]]` with no other
bracket in it: one row, of which nothing else is known."""

Headers = Sequence[tuple[str, bytes | str | None]]

PIPELINE_STAGE: Final = "TASK_PUT"
DECODE_STAGE: Final = "VALUE_CONVERTER"


class RejectKind(StrEnum):
    """Why a record can never be answered. The value is the metric's label."""

    NULL_VALUE = "null_value"
    EMPTY_VALUE = "empty_value"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    TOO_DEEP = "too_deep"
    NO_FEATURES = "no_features"
    WRONG_INPUT = "wrong_input"
    RAGGED = "ragged"
    WRONG_WIDTH = "wrong_width"
    NON_FINITE = "non_finite"
    UNKNOWN_MODEL = "unknown_model"
    MODEL_RAISED = "model_raised"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_SENSOR = "unknown_sensor"
    OUT_OF_RANGE = "out_of_range"
    NOT_A_NUMBER = "not_a_number"
    WRONG_UNIT = "wrong_unit"
    BAD_TIME = "bad_time"

    @property
    def class_name(self) -> str:
        """The error class that the dead letter's headers name, as `WrongWidth`."""
        return "".join(word.capitalize() for word in self.value.split("_"))


class Message(Protocol):
    """What is asked of a Kafka message only when it is needed: for a dead letter, a variant or a sampled time."""

    def key(self) -> bytes | None:
        """The key's bytes, or None."""
        ...

    def headers(self) -> Headers | None:
        """The headers in their order, or None."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Kind (0 = none) and milliseconds since 1970."""
        ...


@dataclass(slots=True, eq=False)
class Span:
    """Records of one partition that one poll brought, offsets `first` to `last` with or without holes.

    `done` and `abandoned` are written by the ledger alone.
    """

    partition: int
    first: int
    last: int
    records: int
    done: bool = False
    abandoned: bool = False


@dataclass(frozen=True, eq=False)
class Polled:
    """What one poll brought, in columns of the same length, in the order of delivery.

    `received` is `time.monotonic()` and `received_at` seconds since 1970, both of the moment the poll returned.
    """

    topic: str
    values: Sequence[bytes | None]
    partitions: Sequence[int]
    offsets: Sequence[int]
    messages: Sequence[Message]
    spans: tuple[Span, ...]
    received: float
    received_at: float

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def headers(self) -> Sequence[Headers | None]:
        """Each record's headers, asked of the messages once, as that is what costs."""
        return [message.headers() for message in self.messages]

    @cached_property
    def header_names(self) -> frozenset[str]:
        """The names of all its records' headers: most polls have none that anybody here reads."""
        return frozenset(dict(chain.from_iterable(filter(None, self.headers))))

    @property
    def abandoned(self) -> bool:
        """Every partition of the poll has moved to another reader: there is nobody left to answer for."""
        return all(span.abandoned for span in self.spans)

    @property
    def waited_ms(self) -> float:
        """How long its first record had waited in Kafka when the poll returned, by Kafka's clock and ours."""
        kind, stamped = self.messages[0].timestamp()
        return self.received_at * 1e3 - stamped if kind else 0.0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that can never be answered: its position in the poll, why, and what its dead letter says."""

    position: int
    kind: RejectKind
    reason: str
    error_class: str = ""
    stage: str = DECODE_STAGE
    model_id: str = "unknown"

    @property
    def class_name(self) -> str:
        """The model's own error class where a model raised, else the name of the kind."""
        return self.error_class or self.kind.class_name


@dataclass(frozen=True, slots=True)
class Group:
    """Records of one poll that go to one endpoint in one variant, opened but not yet made into tensors.

    `features` and `metadata` are raw JSON; `input_ids` hold None where the record has none.
    """

    endpoint: str
    variant: Variant | None
    positions: Sequence[int]
    input_ids: Sequence[str | None]
    features: Sequence[Features]
    metadata: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, chosen: Sequence[int]) -> "Group":
        """The records at these places in the group."""
        return Group(
            self.endpoint,
            self.variant,
            [self.positions[i] for i in chosen],
            [self.input_ids[i] for i in chosen],
            [self.features[i] for i in chosen],
            [self.metadata[i] for i in chosen],
        )

    def sent_to(self, endpoint: str, variant: Variant | None) -> "Group":
        """The same records for another endpoint or variant."""
        return replace(self, endpoint=endpoint, variant=variant)


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of a group as one batch for the engine.

    `rows_of` is intp [records]: how many rows each record has, or None where each has exactly one.
    """

    group: Group
    batch: Batch
    rows_of: np.ndarray | None

    def record_of_row(self, row: int) -> int:
        """The place in the group of the record that owns this row."""
        if self.rows_of is None:
            return row
        return int(np.searchsorted(np.cumsum(self.rows_of), row, side="right"))
