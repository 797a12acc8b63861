"""Peer: the obvious way to put Ray Serve behind Kafka: consume one record, an actor POSTs it to Serve, publish the answer.

Stock Ray Serve on its defaults, one model replica, one adapter actor per partition group. Settings come from the environment as
for the other peers: KAFKA_BOOTSTRAP_SERVERS, KAFKA_INFERENCE_TOPIC, KAFKA_CONSUMER_GROUP, REDIS_URL, ML_MODEL_PATH.
"""

import json
import os
import signal
import threading
import time
import urllib.request
from datetime import UTC, datetime

import numpy as np
import onnxruntime
import ray
import redis
from fastapi import FastAPI, Request
from ray import serve

PORT = 21603
CHANNEL = os.environ.get("ML_STREAM_REDIS_CHANNEL", "ml:stream:inference")
app = FastAPI()


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
@serve.ingress(app)
class Model:
    """One ONNX session behind FastAPI."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            os.environ["ML_MODEL_PATH"], options, providers=["CPUExecutionProvider"]
        )

    @app.post("/infer")
    async def infer(self, request: Request) -> dict[str, list[list[float]]]:
        """`{"x": rows}` -> `{"probabilities": rows}`."""
        rows = np.array((await request.json())["x"], dtype=np.float32)
        return {"probabilities": self._session.run(None, {"x": rows})[0].tolist()}


@ray.remote(num_cpus=0.1, max_concurrency=2)
class Adapter:
    """Consumes one record at a time."""

    def __init__(self) -> None:
        self._going = True

    def stop(self) -> None:
        """End the loop after the record in hand."""
        self._going = False

    def consume(self) -> None:
        """The loop."""
        from confluent_kafka import Consumer  # here: its classes do not travel inside a pickled actor

        consumer = Consumer(
            {
                "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
                "group.id": os.environ["KAFKA_CONSUMER_GROUP"],
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        consumer.subscribe([os.environ["KAFKA_INFERENCE_TOPIC"]])
        store = redis.Redis.from_url(os.environ["REDIS_URL"])
        while self._going:
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            began = time.time()
            record = json.loads(message.value())
            body = json.dumps({"x": record["features"]}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{PORT}/infer", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own address
                predictions = json.loads(reply.read())["probabilities"]
            answer = json.dumps(
                {
                    "inference_id": f"{message.topic()}-{message.partition()}-{message.offset()}",
                    "model_id": record["model_id"],
                    "input_id": record["input_id"],
                    "predictions": predictions,
                    "latency_ms": 1000 * (time.time() - began),
                    "received_at": datetime.fromtimestamp(began, UTC).isoformat(),
                    "metadata": record["metadata"],
                }
            )
            store.publish(CHANNEL, answer)
            store.publish(f"{CHANNEL}:{record['model_id']}", answer)
            store.xadd(f"{CHANNEL}:log", {"data": answer}, maxlen=100_000, approximate=True)
            consumer.commit(message, asynchronous=True)
        consumer.commit(asynchronous=False)
        consumer.close()


def main() -> None:
    """Run until SIGTERM."""
    ended = threading.Event()
    variables = {
        name: os.environ[name] for name in os.environ if name.startswith(("KAFKA_", "REDIS_", "ML_"))
    }
    ray.init(address="local", num_cpus=2, include_dashboard=False, runtime_env={"env_vars": variables})
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Model.bind())
    adapter = Adapter.remote()
    work = adapter.consume.remote()
    ended.wait()
    ray.get(adapter.stop.remote(), timeout=10)
    ray.get(work, timeout=10)
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
