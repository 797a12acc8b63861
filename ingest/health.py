"""Is a reader of the stream alive?"""

import time

from ingest.kafka_source import KafkaSource


class StreamStalled(Exception):
    """The stream does not move although it should; the message says why."""


def check_health(source: KafkaSource, failure: BaseException | None, stall_after_s: float) -> None:
    """Raises `StreamStalled` where a reader can do no more by itself. `failure` is its worker's."""
    failure = source.failure or failure
    if failure is not None:
        raise StreamStalled(f"reading has failed: {failure}") from failure
    if not source.alive:
        raise StreamStalled("the polling thread has ended")
    silent = time.monotonic() - source.last_poll
    if silent > stall_after_s:
        raise StreamStalled(f"nothing was polled for {silent:.0f} s")
