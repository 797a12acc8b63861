"""Where the audit log ends, in Kafka: sent, read back, and checked by `hyperstream audit verify --published`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from sqlalchemy import text
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.records import local_records
from mesh.errors import MeshError, StoreAway
from mesh.records.entry import Head
from mesh.records.heads import PublishedHead
from mesh.records.kafka_heads import KafkaHeads, published_heads

TOPIC = "hyperstream.audit"


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """librdkafka's mock broker: no heads are lost in it, for they are few."""
    broker = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
    yield str(broker.list_topics(timeout=60).brokers[1]).split("/")[0]
    broker.flush(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrap: str) -> Path:
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("MESH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
    return tmp_path


def log(count: int) -> None:
    with local_records() as records:
        for number in range(count):
            records.log("store.expire", f"view:{number}")


def publish(bootstrap: str, topic: str) -> Head:
    """What a router does every few seconds."""
    with local_records() as records:
        head = records.audit.head()
        sink = KafkaHeads(bootstrap, topic)
        sink.publish(PublishedHead(records.audit.chain(), head.seq, head.hash, 0))
        sink.close()
        return head


def verify(*words: str) -> str:
    done = CliRunner().invoke(app, ["audit", "verify", "--published", *words], catch_exceptions=False)
    return done.stdout


def test_heads_are_read_back_in_order(bootstrap):
    sink = KafkaHeads(bootstrap, "order")
    heads = [PublishedHead("c" * 64, seq, f"{seq:064x}", 1_000 + seq) for seq in range(1, 30)]
    for head in heads:
        sink.publish(head)
    sink.close()
    assert published_heads(bootstrap, "order") == heads


def test_a_rewritten_and_a_cut_log_show_against_what_was_published(folder, bootstrap, monkeypatch):
    (folder / "config" / "topics.yml").write_text("audit: {topic: mine}\n")
    log(3)
    published = publish(bootstrap, "mine")
    log(2)
    assert "whole: 5 entries" in verify()
    with local_records() as records, records.database.write() as session:
        for name in ("no_update", "no_delete", "next"):
            session.execute(text(f"DROP TRIGGER audit_entries_{name}"))
        session.execute(text("DELETE FROM audit_entries WHERE seq > 2"))
    with pytest.raises(
        MeshError, match="the log ends at entry 2, but entry 3 was published: entries were cut off"
    ):
        verify()
    log(3)  # and goes on as if nothing had been: without what was published, all of it is whole
    assert (
        CliRunner()
        .invoke(app, ["audit", "verify"], catch_exceptions=False)
        .stdout.startswith("whole: 5 entries")
    )
    with pytest.raises(MeshError, match=f"entry 3 is not the one that was published .{published.hash[:12]}"):
        verify()


def test_a_log_that_begins_otherwise_shows(folder, bootstrap):
    (folder / "config" / "topics.yml").write_text("audit: {topic: begun}\n")
    log(2)
    publish(bootstrap, "begun")
    (folder / "store" / "records.db").rename(folder / "store" / "taken-away.db")
    log(2)
    with pytest.raises(MeshError, match=r"topic begun holds heads of 1 log\(s\) that begin otherwise"):
        verify()


def test_a_broker_that_is_away_is_said():
    with pytest.raises(StoreAway, match=r"Kafka does not answer: topic x at 127\.0\.0\.1:1"):
        KafkaHeads("127.0.0.1:1", "x").publish(PublishedHead("c" * 64, 1, "a" * 64, 0))
    with pytest.raises(StoreAway, match=r"Kafka does not answer: topic x at 127\.0\.0\.1:1"):
        published_heads("127.0.0.1:1", "x")
