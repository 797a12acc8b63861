"""How the stream is read, from the environment. Every setting has a default that suits one machine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from mesh.errors import InvalidConfig

GroupProtocol = Literal["classic", "consumer"]

_CLIENT_PREFIX: Final = "KAFKA_CLIENT_"

_MOST: Final = 1_000_000_000
"""Of any setting: waits stay bounded, and what is larger overflows the clocks that they are handed to."""


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Settings of one reader. Variables are `INGEST_` and the field's name in capitals.

    | field | meaning |
    |---|---|
    | batch_records | most records of one micro-batch; it is smaller when less waits |
    | linger_ms | how long a micro-batch waits to fill; 0 takes what is there |
    | batch_bytes | most bytes of one micro-batch, by the mean size of records lately |
    | batches_in_flight | micro-batches that are worked on at a time |
    | open_batches | micro-batches of one partition that may wait for an unfinished one before them |
    | max_record_bytes | larger records are dead-lettered unread |
    | attempts | calls of a model that raises on a row before the record is dead-lettered |
    | backoff_s, max_backoff_s | first and longest wait before a failed call is made again |
    | infer_timeout_s | longest that one call of the engine may take |
    | commit_interval_s | how often offsets are committed |
    | pause_after_s | how long nothing can be taken before partitions are paused |
    | revoke_timeout_s | how long a rebalance waits for records in flight before it gives them back |
    | drain_timeout_s | how long a shutdown waits for records in flight |
    | stall_after_s | a polling thread that is silent for so long is reported as unhealthy |
    | log_records | entries that the Redis log keeps, about; 0 keeps none and turns it off |
    | fetch_wait_ms | how long a broker may hold an empty fetch; 10 for the embedded broker |
    | queued_kbytes | memory for records fetched ahead |
    | group_protocol | `classic` (cooperative-sticky) or `consumer` (KIP-848, brokers from 4.0) |
    | group_instance_id | static membership: a restart within the session timeout moves no partition; replicas append their rank |
    | min_readers, max_readers | replicas of the deployment; equal ones turn scaling by lag off |
    | target_lag | records of lag that one replica is meant to work off; more adds replicas |
    | dead_letter_suffix | appended to the topic |
    | client | any librdkafka setting: `KAFKA_CLIENT_SECURITY_PROTOCOL` is `security.protocol` |
    """

    batch_records: int = 4_000
    linger_ms: int = 0
    batch_bytes: int = 4 * 1024 * 1024
    batches_in_flight: int = 4
    open_batches: int = 256
    max_record_bytes: int = 5_000_000
    attempts: int = 3
    backoff_s: float = 0.05
    max_backoff_s: float = 2.0
    infer_timeout_s: float = 30.0
    commit_interval_s: float = 0.5
    pause_after_s: float = 1.0
    revoke_timeout_s: float = 5.0
    drain_timeout_s: float = 15.0
    stall_after_s: float = 60.0
    log_records: int = 100_000
    fetch_wait_ms: int = 50
    queued_kbytes: int = 32_768
    group_protocol: GroupProtocol = "classic"
    group_instance_id: str | None = None
    min_readers: int = 1
    max_readers: int = 2
    target_lag: int = 20_000
    dead_letter_suffix: str = ".dlq"
    client: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "IngestConfig":
        """Read `environ`; `InvalidConfig` names the variable that is wrong and what it may be."""
        found: dict[str, Any] = {}  # of the fields' own types, by `_value`
        for name, spec in cls.__dataclass_fields__.items():
            text = environ.get(f"INGEST_{name.upper()}", "")
            if name != "client" and text:
                found[name] = _value(name, text, spec.type)
        client = {
            name.removeprefix(_CLIENT_PREFIX).lower().replace("_", "."): value
            for name, value in environ.items()
            if name.startswith(_CLIENT_PREFIX)
        }
        config = cls(**found, client=client)
        if config.min_readers > config.max_readers:
            reason = f"{config.max_readers} must be at least INGEST_MIN_READERS, {config.min_readers}"
            raise InvalidConfig("environment", 0, "INGEST_MAX_READERS", reason)
        return config

    def of_replica(self, rank: int) -> "IngestConfig":
        """The settings of one replica of the pool: two members of a group may not share an instance id."""
        if not self.group_instance_id:
            return self
        return replace(self, group_instance_id=f"{self.group_instance_id}-{rank}")


def _value(name: str, text: str, kind: object) -> object:
    variable = f"INGEST_{name.upper()}"
    if name == "group_protocol":
        if text not in ("classic", "consumer"):
            raise InvalidConfig("environment", 0, variable, f"'{text}' is not one of classic, consumer")
        return text
    if name == "dead_letter_suffix" and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
        raise InvalidConfig(
            "environment",
            0,
            variable,
            f"'{text}' may hold letters, digits, '.', '_' and '-' only, as topics do",
        )
    if kind not in (int, float):
        return text
    least = (
        0
        if name in ("linger_ms", "log_records", "pause_after_s", "revoke_timeout_s", "drain_timeout_s")
        else 1e-3
    )
    try:
        number = int(text) if kind is int else float(text)
    except ValueError:
        raise InvalidConfig("environment", 0, variable, f"'{text}' is not a number") from None
    if not number >= least:
        raise InvalidConfig(
            "environment", 0, variable, f"{text} must be {'0 or more' if not least else 'above 0'}"
        )
    if number > _MOST:
        raise InvalidConfig("environment", 0, variable, f"{text} must be at most {_MOST}")
    return number
