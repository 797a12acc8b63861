"""The stream on a real Kafka and a real Redis, with whatever can be killed killed under it: nothing is lost."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest
from confluent_kafka import KafkaError
from stream_checker import Numbering, answers_in_log, judge
from stream_servers import ROOT, STANDSTILL_S, RealKafka, RealRedis

from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine, LocalModel
from ingest.kafka_deliveries import Deliveries
from ingest.pool import Reader
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.settings import Settings
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

CLIENT = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
CONFIG = IngestConfig(batch_records=200, commit_interval_s=0.1, log_records=1_000_000, client=CLIENT)
CALM = replace(CONFIG, client={"heartbeat.interval.ms": "1000"})
"""Where no reader dies: who stands still for some seconds, as this machine may, keeps its partitions and repeats nothing."""


class Stream:
    """A topic, its producer and its readers, under names of their own."""

    def __init__(self, name: str, kafka: RealKafka, redis: RealRedis) -> None:
        self.kafka, self.redis = kafka, redis
        self.topic, self.group, self.channel = f"{name}.in", f"{name}.group", f"{name}.out"
        kafka.create(self.topic, f"{self.topic}.dlq")
        self.numbering = Numbering(kafka.bootstrap, self.topic)
        self.model = LocalModel(
            Signature((TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1, 4)),)), _echo
        )
        self.recorder = Recorder()

    @property
    def settings(self) -> Settings:
        return Settings(
            kafka_bootstrap_servers=self.kafka.bootstrap,
            kafka_inference_topic=self.topic,
            kafka_consumer_group=self.group,
            redis_url=self.redis.url,
            redis_channel=self.channel,
        )

    def reader(self, config: IngestConfig = CONFIG) -> Reader:
        return Reader(self.settings, config, InProcessEngine({"default": self.model}), self.recorder)

    @contextlib.asynccontextmanager
    async def reading(self, config: IngestConfig = CONFIG) -> AsyncIterator[Reader]:
        reader = self.reader(config)
        reader.start()
        try:
            yield reader
        finally:
            await reader.drain()

    def answered(self) -> int:
        return self.redis.client.xlen(f"{self.channel}:log")

    async def until_answered(self, records: int, seconds: float = 60.0) -> None:
        good = records - records // 100
        await until(lambda: self.answered() >= good, seconds)

    def check(self, repeats: int) -> None:
        verdict = judge(
            self.numbering.produced, self.redis.client, f"{self.channel}:log", self.kafka.bootstrap
        )
        assert verdict.holds, verdict
        assert verdict.repeated <= repeats, verdict
        assert sum(self.kafka.committed(self.topic, self.group).values()) == verdict.produced

    def process(self) -> subprocess.Popen[bytes]:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "KAFKA_INFERENCE_TOPIC": self.topic,
            "KAFKA_CONSUMER_GROUP": self.group,
            "REDIS_URL": self.redis.url,
            "ML_STREAM_REDIS_CHANNEL": self.channel,
            "INGEST_BATCH_RECORDS": "200",
            "INGEST_COMMIT_INTERVAL_S": "0.1",
            "INGEST_LOG_RECORDS": "1000000",
            "KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000",
            "KAFKA_CLIENT_HEARTBEAT_INTERVAL_MS": "1000",
        }
        script = ROOT / "benchmarks" / "stream_in_process.py"
        return subprocess.Popen(
            [sys.executable, str(script), "--width", "4"], env=environ, stdout=subprocess.PIPE
        )


def _echo(tensors: Tensors) -> Tensors:
    return {"y": np.ascontiguousarray(tensors["x"])}


async def until(holds: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds + STANDSTILL_S
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < ends, "what was waited for did not happen"
        await asyncio.sleep(0.02)


async def test_a_burst_with_poison_ends_in_exactly_one_of_predictions_and_dead_letters(
    kafka: RealKafka, redis: RealRedis
) -> None:
    stream = Stream("burst", kafka, redis)
    stream.numbering.send(20_000)
    async with stream.reading(replace(CALM, batch_records=4_000)) as reader:
        await stream.until_answered(20_000)
        await until(lambda: reader.summary().dead_lettered == 200, 20)
        summary = await reader.drain()
    assert str(summary) == "read 20000, answered 19800, dead-lettered 200, left uncommitted 0"
    counters = stream.recorder.snapshot().counters
    assert counters[names.INGEST_RECORDS.name] == {(stream.topic,): 20_000}
    assert counters[names.INGEST_BYTES.name][stream.topic,] > 20_000
    stream.check(repeats=0)


async def test_redis_killed_and_started_again_loses_nothing(kafka: RealKafka, redis: RealRedis) -> None:
    stream = Stream("redis-kill", kafka, redis)
    async with stream.reading(CALM) as reader:
        stream.numbering.send(5_000)
        await until(lambda: stream.answered() > 500, 20)
        redis.kill()
        await asyncio.to_thread(stream.numbering.send, 5_000)
        await asyncio.sleep(1.5)
        reader.check_health()
        redis.start()
        await stream.until_answered(10_000)
        await until(lambda: reader.summary().left_uncommitted == 0, 20)
    stream.check(repeats=5_000)


async def test_a_model_that_is_away_for_a_while_dead_letters_nothing(
    kafka: RealKafka, redis: RealRedis
) -> None:
    stream = Stream("model-away", kafka, redis)
    async with stream.reading(replace(CALM, pause_after_s=0.2)) as reader:
        stream.numbering.send(3_000)
        await until(lambda: stream.answered() > 100, 20)
        stream.model.available = False
        await asyncio.to_thread(stream.numbering.send, 7_000)
        paused = names.INGEST_PAUSED.name
        await until(lambda: sum(stream.recorder.snapshot().gauges.get(paused, {}).values()) > 0, 10)
        reader.check_health()
        stream.model.available = True
        await stream.until_answered(10_000)
        await until(lambda: reader.summary().left_uncommitted == 0, 20)
        assert reader.summary().dead_lettered == 100
    assert sum(stream.recorder.snapshot().gauges[paused].values()) == 0
    stream.check(repeats=0)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_readers_that_come_and_go_share_the_partitions_and_lose_nothing(
    kafka: RealKafka, redis: RealRedis, protocol: str
) -> None:
    stream = Stream(f"rebalance-{protocol}", kafka, redis)
    client = CALM.client if protocol == "classic" else {}
    config = replace(CALM, group_protocol=protocol, client=client)
    feeding = asyncio.create_task(asyncio.to_thread(_send_slowly, stream.numbering, 20_000))
    async with stream.reading(config) as first:
        await until(lambda: stream.answered() > 500, 20)
        async with stream.reading(config) as second:
            await until(lambda: (first.partitions, second.partitions) == (2, 2), 20)
            await first.drain()
            await until(lambda: second.partitions == 4, 20)
            await feeding
            await stream.until_answered(20_000)
            await until(lambda: second.summary().left_uncommitted == 0, 20)
    summaries = [first.summary(), second.summary()]
    assert [summary.left_uncommitted for summary in summaries] == [0, 0]
    stream.check(repeats=0)


def _send_slowly(numbering: Numbering, records: int) -> None:
    for _ in range(20):
        numbering.send(records // 20)
        time.sleep(0.2)


async def test_a_reader_killed_mid_run_is_followed_by_one_that_loses_nothing(
    kafka: RealKafka, redis: RealRedis
) -> None:
    stream = Stream("reader-kill", kafka, redis)
    good = 0
    for _ in range(5):  # one that ended its work before it was killed is no case of it
        await asyncio.to_thread(stream.numbering.send, 50_000)
        victim, begun = stream.process(), stream.answered()
        good += 49_500
        await until(lambda begun=begun: stream.answered() > begun + 2_000, 60)
        victim.send_signal(signal.SIGKILL)
        victim.wait(60)
        if stream.answered() < good:
            break
    before = stream.answered()
    assert before < good
    heir = stream.process()
    await until(lambda: len(answers_in_log(redis.client, f"{stream.channel}:log")) >= good, 120)
    await asyncio.sleep(0.5)
    heir.send_signal(signal.SIGTERM)
    said, _ = heir.communicate(timeout=120)
    assert b"left uncommitted 0" in said
    stream.check(repeats=5_000)


async def test_a_broker_killed_and_started_again_loses_nothing(kafka: RealKafka, redis: RealRedis) -> None:
    stream = Stream("broker-kill", kafka, redis)
    await asyncio.to_thread(stream.numbering.send, 30_000)
    async with stream.reading() as reader:
        await until(lambda: stream.answered() > 1_000, 20)
        kafka.kill()
        late = stream.reader()  # starts while Kafka is away
        late.start()
        await asyncio.sleep(1.0)
        late.check_health()
        await asyncio.to_thread(kafka.restart)
        await asyncio.to_thread(stream.numbering.send, 10_000)
        await until(lambda: len(answers_in_log(redis.client, f"{stream.channel}:log")) >= 39_600, 120)
        await until(lambda: reader.partitions + late.partitions == 4, 30)
        await until(lambda: reader.summary().left_uncommitted + late.summary().left_uncommitted == 0, 20)
        await late.drain()
    stream.check(repeats=5_000)


async def test_a_broker_that_freezes_keeps_no_reader_out(kafka: RealKafka, redis: RealRedis) -> None:
    """Back from a pause longer than its own lease, a broker may say that there are no brokers at all."""
    stream = Stream("broker-freeze", kafka, redis)
    await asyncio.to_thread(stream.numbering.send, 10_000)
    async with contextlib.AsyncExitStack() as readers:
        four = [await readers.enter_async_context(stream.reading()) for _ in range(4)]

        def shared() -> bool:
            return [reader.partitions for reader in four] == [1, 1, 1, 1]

        for sent in (20_000, 30_000):
            await until(shared, 60)
            await asyncio.to_thread(kafka.freeze, 14.0)
            await asyncio.to_thread(stream.numbering.send, 10_000)
            await stream.until_answered(sent)
        await until(shared, 60)
        await until(lambda: not sum(reader.summary().left_uncommitted for reader in four), 20)
    stream.check(repeats=20_000)


async def test_letters_that_time_out_are_delivered_by_the_next_producer(kafka: RealKafka) -> None:
    kafka.create("letters.dlq", partitions=1)
    deliveries = Deliveries({"bootstrap.servers": kafka.bootstrap, "delivery.timeout.ms": 1_000})

    async def deliver(value: bytes) -> KafkaError | None:
        return await asyncio.wait_for(deliveries.deliver("letters.dlq", value, b"k", []), 60)

    async def delivered(value: bytes) -> None:
        """A second is little for a broker that wakes up, or that a client has just found."""
        async with asyncio.timeout(60):
            while await deliver(value) is not None:
                pass

    await delivered(b"1")
    with kafka.frozen():
        errors = await asyncio.gather(*(deliver(b"%d" % n) for n in range(2, 20)))
    assert {error and error.name() for error in errors} == {"_MSG_TIMED_OUT"}
    await delivered(b"20")
    await deliveries.close()
