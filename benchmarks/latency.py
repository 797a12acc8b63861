"""`stream-latency`: from produce() to the message in a Redis subscriber's hands, at a steady 2,000 records a second."""

import json
import threading
import time

import numpy as np
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console

from benchmarks.programs import ROOT, CannotRun, kafka, mesh, need, redis_server
from benchmarks.results import Row, at_most

RATE, SECONDS, WARM_SECONDS = 2_000, 20, 8
TOGETHER = 4
"""Records a tick of 2 ms: a loop that waits for each of them awake would take the core that is measured."""
CONFIG = ROOT / "benchmarks" / "config-stream16"


def measure(rounds: int, console: Console) -> list[Row]:
    """One row: the median over rounds of the p95, after a round that does not count."""
    p95s: list[float] = []
    note = ""
    try:
        need("redis-server")
        with kafka() as bootstrap, redis_server() as url:
            admin = AdminClient({"bootstrap.servers": bootstrap})  # its futures fail once it is gone
            admin.create_topics([NewTopic("latency", 4, 1)])["latency"].result(30)
            environ = {
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "REDIS_URL": url,
                "KAFKA_INFERENCE_TOPIC": "latency",
                "KAFKA_CONSUMER_GROUP": "bench-latency",
            }
            with mesh("mesh-latency", CONFIG, **environ):
                _steady(bootstrap, url, 0)  # a broker and readers that have just started catch up for seconds
                for round_ in range(1, rounds + 1):
                    p50, p95, seen = _steady(bootstrap, url, round_)
                    console.print(
                        f"stream-latency round {round_}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, {seen:,} seen"
                    )
                    p95s.append(p95)
    except (CannotRun, OSError) as reason:
        note = str(reason)
    return [at_most("stream-latency", "ms p95", p95s, 20, note)]


def _steady(bootstrap: str, url: str, round_: int) -> tuple[float, float, int]:
    total = RATE * (SECONDS + WARM_SECONDS)
    sent, seen = np.zeros(total), np.zeros(total)
    ready, listener = threading.Event(), redis.Redis.from_url(url)
    prefix = f"r{round_}-"

    def listen() -> None:
        with listener.pubsub(ignore_subscribe_messages=False) as subscription:
            subscription.subscribe("ml:stream:inference")
            give_up, count = time.monotonic() + SECONDS + WARM_SECONDS + 20, 0
            while count < total and time.monotonic() < give_up:
                message = subscription.get_message(timeout=1.0)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    ready.set()
                elif (name := json.loads(message["data"])["input_id"]).startswith(prefix):
                    seen[int(name.removeprefix(prefix))] = time.perf_counter()
                    count += 1

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ready.wait(10)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "1", "linger.ms": 0})
    features = json.dumps([np.random.default_rng(7).normal(size=16).round(4).tolist()])
    began = time.perf_counter()
    for number in range(total):
        if number % TOGETHER == 0:
            producer.poll(0)
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        sent[number] = time.perf_counter()
        producer.produce(
            "latency",
            f'{{"model_id":"default","input_id":"{prefix}{number}","features":{features},"metadata":{{}}}}',
            partition=number % 4,
        )
    producer.flush(10)
    thread.join(30)
    arrived = (seen > 0) & (np.arange(total) >= RATE * WARM_SECONDS)
    if not arrived.any():
        raise CannotRun("no prediction reached the subscriber")
    taken = 1000 * (seen - sent)[arrived]
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95)), int((seen > 0).sum())
