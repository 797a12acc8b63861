"""A burst through the whole mesh with the shipped models and rules, and the same answer at every edge."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from confluent_kafka import Producer
from full_stack import (
    CHANNEL,
    GRPC,
    HTTP,
    LANE_GRPC,
    LANE_HTTP,
    METRICS,
    TOPIC,
    FullStack,
    full_stack,
    until_still,
)
from ray_mesh import until
from stream_servers import ROOT

from mesh.cli.feed import sample

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

BURST, COMPARED = 100_000, 2_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    with full_stack(tmp_path_factory.mktemp("burst"), INGEST_LOG_RECORDS="0") as running:
        yield running


class Subscriber:
    """Everything that is published on the channel, from the moment this exists."""

    def __init__(self, stack: FullStack) -> None:
        self.payloads: list[bytes] = []
        self._subscription = stack.redis.client.pubsub(ignore_subscribe_messages=True)
        self._subscription.subscribe(CHANNEL)
        self._subscription.get_message(timeout=60)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for message in self._subscription.listen():
            self.payloads.append(message["data"])


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Rows of the shipped telemetry, as many as are compared."""
    records = islice(sample(ROOT).records(), COMPARED)
    return np.float32([json.loads(record.value)["features"][0] for record in records])


@pytest.fixture(scope="module")
def burst(stack: FullStack, rows: np.ndarray) -> list[dict[str, object]]:
    """What a subscriber saw of a burst; even records have `rollout: true`."""
    subscriber = Subscriber(stack)
    texts = [json.dumps(row) for row in rows.tolist()]
    producer = Producer(
        {
            "bootstrap.servers": stack.kafka.bootstrap,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 2 * BURST,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    for n in range(BURST):
        rollout = "false" if n % 2 else "true"
        value = (
            f'{{"model_id":"default","input_id":"r{n}","features":[{texts[n % COMPARED]}],'
            f'"metadata":{{"rollout":{rollout}}}}}'
        )
        producer.produce(TOPIC, value)
        if n % 1000 == 0:
            producer.poll(0)
    assert producer.flush(240) == 0
    until(lambda: len(subscriber.payloads) >= BURST and stack.committed() == BURST, 300)
    return [json.loads(payload) for payload in subscriber.payloads]


def test_every_record_of_a_burst_is_seen_once_and_committed(
    stack: FullStack, burst: list[dict[str, object]]
) -> None:
    assert len(burst) == BURST
    assert {answer["input_id"] for answer in burst} == {f"r{n}" for n in range(BURST)}
    assert len({answer["inference_id"] for answer in burst}) == BURST
    assert not any(answer["degraded"] for answer in burst)
    roles = Counter(one["role"] for answer in burst for one in answer["answered_by"])
    routes = {one["route"] for answer in burst for one in answer["answered_by"]}
    # Ten percent of the keys of the half that has `rollout: true`.
    assert 0.045 < roles["canary"] / BURST < 0.055
    assert routes == {"baseline", "hybrid-anomaly", "canary-rollout"}
    assert stack.committed() == BURST


def test_the_same_keys_get_the_same_variant_at_every_edge(
    stack: FullStack, burst: list[dict[str, object]], rows: np.ndarray
) -> None:
    rollout = range(0, COMPARED, 2)
    by_id = {answer["input_id"]: answer for answer in burst}
    streamed = [origin(by_id[f"r{n}"]["answered_by"][0]) for n in rollout]
    assert 0 < sum(role == "canary" for _, _, role in streamed) < len(streamed) / 5
    # In the stream a row's key is its id.
    keys = [f"r{n}" for n in rollout]
    attributes = {"rollout": True}
    chosen = np.float32(rows[list(rollout)])
    for port in (LANE_HTTP, HTTP):
        assert over_http(port, chosen, keys, attributes) == streamed
    for port in (LANE_GRPC, GRPC):
        assert over_grpc(port, chosen, keys, attributes) == streamed


def test_one_scrape_shows_the_whole_pool(
    stack: FullStack, burst: list[dict[str, object]], rows: np.ndarray
) -> None:
    """The router's requests and the readers' records are counted in processes of their own."""
    before = until_still(lambda: int(scraped("ml_stream_inference_predictions_total")), 20)
    row = rows[:1]
    for _ in range(7):
        over_http(LANE_HTTP, row, ["k"], {})
    with pytest.raises(httpx.HTTPStatusError):
        over_http(LANE_HTTP, row[:, :3], ["k"], {})
    assert before >= BURST

    def figures() -> list[float]:
        names = ("predictions_total", "latency_seconds_count", "errors_total")
        return [scraped(f"ml_stream_inference_{name}") for name in names]

    until(lambda: figures() == [before + 7, before + 7, 1], 20, lambda: f"{before} {figures()}")
    assert scraped("mesh_ingest_records_total", f'topic="{TOPIC}"') == BURST
    assert scraped("mesh_ingest_answered_total", f'topic="{TOPIC}"') == BURST


def origin(said: dict[str, str]) -> tuple[str, str, str]:
    return said["model"], said["route"], said["role"]


def origins(text: str, rows: int) -> list[tuple[str, str, str]]:
    said = json.loads(text)
    return [origin(one) for one in (said if isinstance(said, list) else [said] * rows)]


def over_http(
    port: int, rows: np.ndarray, keys: list[str], attributes: dict[str, object]
) -> list[tuple[str, str, str]]:
    body = {
        "inputs": [
            {"name": "features", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist()}
        ],
        "parameters": {"mesh_keys": keys, "mesh_attributes": attributes},
    }
    reply = httpx.post(f"http://127.0.0.1:{port}/v2/models/default/infer", json=body, timeout=60)
    reply.raise_for_status()
    return origins(reply.json()["parameters"]["mesh_answered_by"], len(rows))


def over_grpc(
    port: int, rows: np.ndarray, keys: list[str], attributes: dict[str, object]
) -> list[tuple[str, str, str]]:
    tensor = triton.InferInput("features", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows)
    parameters = {"mesh_keys": json.dumps(keys), "mesh_attributes": json.dumps(attributes)}
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        reply = client.infer("default", [tensor], parameters=parameters, headers={"application": "mesh"})
    return origins(reply.get_response().parameters["mesh_answered_by"].string_param, len(rows))


def scraped(name: str, labels: str = "") -> float:
    """The sum of a metric over its series that have these labels."""
    page = httpx.get(f"http://127.0.0.1:{METRICS}/metrics", timeout=60).text
    found = re.findall(rf"^{name}(?:_total)?(\{{[^}}]*\}})? (\S+)$", page, re.MULTILINE)
    return sum(float(value) for series, value in found if labels in series)
