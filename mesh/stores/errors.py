"""What the store says no with.

MeshError
├── StoreFailed        the history cannot be read or written: what, where, and what to do
│   ├── NoHistory      nothing was written there yet
│   └── OffsetsMoved   another writer has gone on from where this one stood; read its offsets and begin there
├── StreamAway         Kafka does not answer or has no such topic
└── Unavailable
    └── OnlineAway     Redis does not answer; worth trying again
"""

from mesh.errors import MeshError, Unavailable


class StoreFailed(MeshError):
    """The history cannot be read or written; the message names the table and what to do."""


class NoHistory(StoreFailed):
    """There is no table yet; the message says what makes one."""


class OffsetsMoved(StoreFailed):
    """Another writer has gone on from where this one stood."""

    def __init__(self, partition: int, expected: int, found: int) -> None:
        super().__init__(f"partition {partition}: the table is at offset {found}, not {expected} any more")
        self.partition, self.expected, self.found = partition, expected, found


class StreamAway(MeshError):
    """Kafka does not answer, or has no such topic; the message names the address and the variable that sets it."""


class OnlineAway(Unavailable):
    """The online store does not answer; try again after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__("features", reason, retry_after_s)
        self.args = (f"the online feature store does not answer: {reason}; REDIS_URL sets the address",)
