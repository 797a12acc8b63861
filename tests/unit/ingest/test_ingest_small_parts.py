"""Settings, scaling, backoff, commands, headers, runs of offsets: the small pure parts."""

import random
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest

from ingest.backoff import Backoff
from ingest.config import IngestConfig
from ingest.deadletter import Produced, error_headers
from ingest.kafka_client import consumer_settings
from ingest.kafka_polls import runs
from ingest.redis_link import RedisAddress
from ingest.resp import Framer, command
from ingest.scaling import LAG, PARTITIONS, TARGET_LAG, replicas_for_lag
from ingest.settle import error_of
from ingest.sink import DeadLetter
from mesh.errors import InvalidConfig
from mesh.routing.types import RowFailure

STREAM_DOC = Path(__file__).resolve().parents[3] / "docs/stream.md"


def test_settings_come_from_the_environment() -> None:
    environ = {
        "INGEST_BATCH_RECORDS": "100",
        "INGEST_PAUSE_AFTER_S": "0.5",
        "INGEST_GROUP_PROTOCOL": "consumer",
        "INGEST_GROUP_INSTANCE_ID": "reader-1",
        "KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_SSL",
    }
    config = IngestConfig.from_environ(environ)
    assert (config.batch_records, config.pause_after_s, config.group_protocol) == (100, 0.5, "consumer")
    settings = consumer_settings("b:1", "g", config)
    assert settings["security.protocol"] == "SASL_SSL"
    assert settings["group.instance.id"] == "reader-1"
    assert settings["group.protocol"] == "consumer"
    assert "session.timeout.ms" not in settings
    assert settings["fetch.queue.backoff.ms"] == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGEST_BATCH_RECORDS", "many"),
        ("INGEST_BATCH_RECORDS", "0"),
        ("INGEST_BATCH_RECORDS", "1.5"),
        ("INGEST_BACKOFF_S", "-1"),
        ("INGEST_BACKOFF_S", "nan"),
        ("INGEST_GROUP_PROTOCOL", "eager"),
        ("INGEST_REVOKE_TIMEOUT_S", "inf"),
        ("INGEST_DRAIN_TIMEOUT_S", "1e300"),
        ("INGEST_BATCH_BYTES", "9" * 20),
        ("INGEST_DEAD_LETTER_SUFFIX", " dlq"),
        ("INGEST_DEAD_LETTER_SUFFIX", "/dead"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        IngestConfig.from_environ({name: value})


def test_most_readers_are_no_fewer_than_the_fewest() -> None:
    with pytest.raises(InvalidConfig, match="INGEST_MAX_READERS: 2 must be at least INGEST_MIN_READERS, 4"):
        IngestConfig.from_environ({"INGEST_MIN_READERS": "4"})


def test_replicas_do_not_share_an_instance_id() -> None:
    config = IngestConfig.from_environ({"INGEST_GROUP_INSTANCE_ID": "reader"})
    assert [config.of_replica(rank).group_instance_id for rank in (0, 1)] == ["reader-0", "reader-1"]
    assert IngestConfig().of_replica(1) == IngestConfig()


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| (`INGEST_[^|]+) \| ([^|]+) \|", STREAM_DOC.read_text(), re.MULTILINE)
    told = {
        name.strip(" `"): value.strip()
        for names, values in rows
        for name, value in zip(names.split(","), values.split(","), strict=True)
    }
    real = {
        f"INGEST_{spec.name.upper()}": spec.default for spec in fields(IngestConfig) if spec.name != "client"
    }
    assert told == {
        name: "unset" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in real.items()
    }


@dataclass
class Seen:
    aggregated_metrics: dict[str, dict[object, float]] | None
    current_num_replicas: int = 1
    target_num_replicas: int = 2
    unused: dict[str, object] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("lags", "wanted"), [([0], 1), ([900], 1), ([1_001], 2), ([2_500, 2_600], 4), ([99_000], 4)]
)
def test_readers_follow_the_lag_up_to_the_partitions(lags: list[float], wanted: int) -> None:
    metrics: dict[str, dict[object, float]] = {
        LAG: dict(enumerate(lags)),
        PARTITIONS: {i: 4 / len(lags) for i in range(len(lags))},
        TARGET_LAG: dict.fromkeys(range(len(lags)), 1000.0),
    }
    assert replicas_for_lag(Seen(metrics)) == (wanted, {})


@pytest.mark.parametrize("metrics", [None, {}, {LAG: {0: 5.0}, PARTITIONS: {0: 0.0}, TARGET_LAG: {0: 10.0}}])
def test_readers_stay_while_no_partition_is_known(metrics: dict[str, dict[object, float]] | None) -> None:
    assert replicas_for_lag(Seen(metrics)) == (2, {})


def test_backoff_doubles_to_its_limit_and_heeds_the_server() -> None:
    backoff = Backoff(0.1, 1.0, random.Random(1))
    delays = [backoff.delay() for _ in range(6)]
    assert all(0.05 * 2**i <= delay <= 0.1 * 2**i for i, delay in enumerate(delays[:3]))
    assert max(delays) <= 1.0
    backoff.reset()
    assert backoff.delay() <= 0.1
    assert backoff.delay(at_least_s=0.7) == 0.7
    assert backoff.delay(at_least_s=60.0) == 1.0


def test_commands_are_framed_by_hand() -> None:
    assert command(b"PING") == b"*1\r\n$4\r\nPING\r\n"
    framed = Framer("c", 5).frame("m", [b"{}"])
    assert framed == (
        command(b"PUBLISH", b"c", b"{}")
        + command(b"PUBLISH", b"c:m", b"{}")
        + command(b"XADD", b"c:log", b"MAXLEN", b"~", b"5", b"*", b"data", b"{}")
    )
    without = Framer("c", 0)
    assert without.commands_per_answer == 2
    assert without.frame("m", [b"{}"]).count(b"PUBLISH") == 2
    assert b"XADD" not in without.frame("m", [b"{}"])


def test_redis_addresses_are_read_from_urls() -> None:
    plain = RedisAddress.from_url("redis://user:p%40ss@host:7000/3")
    assert (plain.host, plain.port, plain.db, plain.username, plain.password) == (
        "host",
        7000,
        3,
        "user",
        "p@ss",
    )
    assert "p@ss" not in repr(plain)
    assert RedisAddress.from_url("unix:///run/redis.sock?db=2").unix_path == "/run/redis.sock"
    assert RedisAddress.from_url("rediss://host").tls is not None
    for wrong in (
        "http://host",
        "rediss://host?ssl_ca_certs=/no/such/file",
        "rediss://host?ssl_certfile=/no/such/file",
    ):
        with pytest.raises(InvalidConfig, match="REDIS_URL"):
            RedisAddress.from_url(wrong)


def test_dead_letters_carry_both_header_families_and_their_own_headers() -> None:
    letter = DeadLetter("t", 3, 42, b"k", b"v", [("trace", b"1")], "VALUE_CONVERTER", "NotJson", "malformed")
    headers = dict(Produced.of(letter).headers)
    assert headers["trace"] == b"1"
    for family in ("__connect.errors", "__streams.errors"):
        assert headers[f"{family}.topic"] == b"t"
        assert headers[f"{family}.partition"] == b"3"
        assert headers[f"{family}.offset"] == b"42"
    assert headers["__connect.errors.exception.class.name"] == b"NotJson"
    assert headers["__connect.errors.exception.message"] == b"malformed"
    assert headers["__connect.errors.stage"] == b"VALUE_CONVERTER"
    assert headers["__streams.errors.exception"] == b"NotJson"
    assert headers["__streams.errors.message"] == b"malformed"


def test_a_letter_that_is_too_large_loses_its_value_then_its_headers_then_its_key() -> None:
    letter = DeadLetter(
        "t", 3, 42, b"key", b"value", [("trace", b"12"), ("none", None)], "S", "TooLarge", "m"
    )
    sent = Produced.of(letter)
    shown = []
    while (smaller := sent.smaller()) is not None:
        sent = smaller
        shown.append((sent.value, len(sent.own), sent.key, sent.headers[-1]))
    assert shown == [
        (None, 2, b"key", ("__hyperstream.errors.value.omitted.bytes", b"5")),
        (None, 0, b"key", ("__hyperstream.errors.headers.omitted.bytes", b"11")),
        (None, 0, None, ("__hyperstream.errors.key.omitted.bytes", b"3")),
    ]
    assert dict(sent.headers)["__connect.errors.offset"] == b"42"


def test_a_models_message_keeps_no_letter_back() -> None:
    """A path may hold what is no UTF-8, and some errors print the whole of their input."""
    letter = DeadLetter("t", 3, 42, None, b"v", [], "S", "OSError", "no file \udcff" + "x" * 1_000_000)
    headers = dict(error_headers(letter))
    assert (headers["__connect.errors.exception.message"] or b"").startswith(b"no file \\udcffx")
    assert sum(len(value or b"") for value in headers.values()) < 10_000


def test_offsets_are_gathered_by_partition() -> None:
    assert runs([], []) == []
    assert runs([1, 1, 0, 0, 1], [5, 6, 2, 9, 7]) == [(1, 5, 7, 3), (0, 2, 9, 2)]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("ValueError: bad: thing", ("ValueError", "bad: thing")),
        ("torch.OutOfMemoryError: x", ("torch.OutOfMemoryError", "x")),
        ("no colon here", ("ModelError", "no colon here")),
        ("two words: x", ("ModelError", "two words: x")),
    ],
)
def test_a_models_error_is_split_into_class_and_message(reason: str, expected: tuple[str, str]) -> None:
    assert error_of(RowFailure("m", "raised", reason)) == expected
