"""The stream on librdkafka's mock broker, which drops the oldest records: the loss is said with its count."""

import asyncio
import logging
import time
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer
from stream_servers import RealRedis

from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine, LocalModel
from ingest.pool import Reader
from mesh.routing.types import Signature, TensorSpec
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

pytestmark = pytest.mark.redis

REDIS_PORT = 21421
RECORD = (
    b'{"model_id": "default", "features": [[1, 2, 3, 4]], "metadata": {"filler": "' + b"x" * 60_000 + b'"}}'
)


async def test_records_that_the_broker_dropped_are_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    redis = RealRedis(tmp_path, REDIS_PORT)
    redis.start()
    broker = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
    settings = Settings(
        kafka_bootstrap_servers=broker.list_topics(timeout=60).brokers[1].__str__().split("/")[0],
        redis_url=redis.url,
        kafka_consumer_group="demo",
    )
    model = LocalModel(
        Signature((TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1, 4)),)),
        lambda tensors: {"y": np.ascontiguousarray(tensors["x"])},
    )
    recorder = Recorder()
    config = IngestConfig(fetch_wait_ms=10, commit_interval_s=0.05)
    try:
        produce(broker, settings.kafka_inference_topic, 10)
        first = await read(Reader(settings, config, InProcessEngine({"default": model}), recorder), 10)
        produce(broker, settings.kafka_inference_topic, 200)  # 12 MB into 5 MiB
        with caplog.at_level(logging.ERROR, "ingest.gaps"):
            second = await read(Reader(settings, config, InProcessEngine({"default": model}), recorder), 1)
    finally:
        redis.kill()
    gone = recorder.snapshot().counters[names.INGEST_GAPS.name][settings.kafka_inference_topic,]
    assert first.read == first.answered == 10
    assert gone > 100
    assert second.answered == 200 - gone
    assert f"{gone:.0f} records of {settings.kafka_inference_topic} partition 0 are gone" in caplog.text


def produce(broker: Producer, topic: str, records: int) -> None:
    for _ in range(records):
        broker.produce(topic, RECORD, partition=0)
        assert broker.flush(60) == 0


async def read(reader: Reader, least: int):
    reader.start()
    ends = time.monotonic() + 90
    idle_since, before = time.monotonic(), -1
    while time.monotonic() < ends and (before < least or time.monotonic() - idle_since < 0.5):
        answered = reader.summary().answered
        if answered != before:
            idle_since, before = time.monotonic(), answered
        await asyncio.sleep(0.02)
    return await reader.drain()
