"""`python -m mesh.embedded.demo_broker PORT [TOPIC...]`: librdkafka's mock cluster on a port of our choice.

The cluster listens on a random port of 127.0.0.1 and advertises that one. The forwarder on PORT serves for
the first contact; clients go on directly. Lives until its standard input closes.
"""

import asyncio
import contextlib
import os
import sys

from confluent_kafka import KafkaException, Producer

from mesh.embedded.forwarder import Forwarder

_START_S = 10.0


def main() -> None:
    """Start the cluster, create the topics, forward until the owner is gone."""
    port, *topics = sys.argv[1:]
    # Whoever holds this producer holds the cluster.
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "ignored", "log_level": 3})
    [broker] = cluster.list_topics(timeout=_START_S).brokers.values()
    for topic in topics:
        # Asking for a topic makes it, even where the first answer fails
        with contextlib.suppress(KafkaException):
            cluster.list_topics(topic, timeout=_START_S)
    asyncio.run(_serve((broker.host, broker.port), int(port)))
    os._exit(0)  # librdkafka would wait for its mock clients; there is nothing to flush


async def _serve(target: tuple[str, int], port: int) -> None:
    forwarder = Forwarder(target)
    await forwarder.start("127.0.0.1", port)
    await asyncio.to_thread(sys.stdin.buffer.read)
    await forwarder.close()


if __name__ == "__main__":
    main()
