"""The librdkafka settings of the stream's consumer. Each that is not a default says why."""

from collections.abc import Mapping

from ingest.config import IngestConfig

Setting = str | int | bool


def consumer_settings(bootstrap: str, group: str, config: IngestConfig) -> Mapping[str, Setting]:
    """Settings for `confluent_kafka.Consumer`; those of the user win."""
    settings: dict[str, Setting] = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": config.group_instance_id or "hyperstream-ingest",
        "log_level": 2,  # what it has to say comes as errors, which are told once; its log repeats them forever
        "enable.auto.commit": False,  # the watermark decides
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": False,
        "fetch.queue.backoff.ms": 5,  # the default of a second stalls reading whenever the queue was full
        "fetch.wait.max.ms": config.fetch_wait_ms,
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": config.queued_kbytes,
        "topic.metadata.refresh.interval.ms": 5_000,  # a topic that is made later is found
        "reconnect.backoff.max.ms": 1_000,
    }
    if config.group_protocol == "consumer":
        settings["group.protocol"] = "consumer"
    else:
        settings["partition.assignment.strategy"] = "cooperative-sticky"
        settings["session.timeout.ms"] = 10_000
        settings["heartbeat.interval.ms"] = 2_000
    if config.group_instance_id:
        settings["group.instance.id"] = config.group_instance_id
    return {**settings, **config.client}


def producer_settings(bootstrap: str, config: IngestConfig) -> dict[str, Setting]:
    """Settings for the dead letters' producer."""
    return {"bootstrap.servers": bootstrap, "log_level": 2, **config.client}
