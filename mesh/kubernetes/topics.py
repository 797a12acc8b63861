"""Kafka topics as Strimzi's KafkaTopic (kafka.strimzi.io/v1), so that none depends on auto-create."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

PARTITIONS: Final = 12
"""Of a topic that the mesh reads: the most readers that can share it. Adding some later moves keys."""
DEAD_LETTER_PARTITIONS: Final = 3
_DAY_MS: Final = 86_400_000
RETENTION_MS: Final = 7 * _DAY_MS
DEAD_LETTER_RETENTION_MS: Final = 30 * _DAY_MS
"""Somebody has to look at them first."""
FOR_EVER: Final = -1
MAX_MESSAGE_BYTES: Final = 5_242_880
"""Above `INGEST_MAX_RECORD_BYTES` (5,000,000): ingest says what is too large, not the broker."""


def topics(
    names: Iterable[str], cluster: str, dead_letter_suffix: str, kept: Container[str] = ()
) -> Iterator[Mapping[str, Any]]:
    """One object for each of `names` and one for its dead letters; those that are `kept` lose nothing with time.

    Replicas are left to the broker's `default.replication.factor`: how many brokers there are is the overlay's matter.
    """
    for name in names:
        # By the broker's clock: by a producer's own, one device of 1970 makes the whole chain think that it is far behind.
        stamped = {"message.timestamp.type": "LogAppendTime"}
        yield _topic(name, cluster, PARTITIONS, FOR_EVER if name in kept else RETENTION_MS, stamped)
        letters = f"{name}{dead_letter_suffix}"
        yield _topic(letters, cluster, DEAD_LETTER_PARTITIONS, DEAD_LETTER_RETENTION_MS, {})


def _topic(
    name: str, cluster: str, partitions: int, retention_ms: int, more: Mapping[str, str]
) -> Mapping[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        # A Kubernetes name takes dots and hyphens, no underscores or capitals; Kafka's own name stays as it is.
        "metadata": {
            "name": name.lower().replace("_", "-"),
            "labels": {"strimzi.io/cluster": cluster},
        },
        "spec": {
            "topicName": name,
            "partitions": partitions,
            "config": {"retention.ms": retention_ms, "max.message.bytes": MAX_MESSAGE_BYTES, **more},
        },
    }
