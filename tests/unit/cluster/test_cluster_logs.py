"""What we log in a replica stands in Serve's log of it."""

import logging
from collections.abc import Iterator

import pytest

from mesh.cluster.logs import OURS, log_with_serve


@pytest.fixture
def written() -> Iterator[list[str]]:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.levelname} {record.getMessage()}")

    loggers = [logging.getLogger(name) for name in ("ray.serve", *OURS)]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    loggers[0].handlers = [Lines()]
    yield lines
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def test_warnings_and_what_is_worth_knowing_reach_the_log_and_nothing_twice(written: list[str]) -> None:
    log_with_serve()
    log_with_serve()
    logging.getLogger("ingest.kafka_source").warning("lost partitions")
    logging.getLogger("ingest.kafka_source").info("given partitions")
    logging.getLogger("mesh.cluster.directory").debug("not this")
    assert written == [
        "ingest.kafka_source WARNING lost partitions",
        "ingest.kafka_source INFO given partitions",
    ]
