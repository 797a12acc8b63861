"""Kafka clients for commands: settings that librdkafka refuses are an error of the environment, told in one line."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from confluent_kafka import KafkaException

from mesh.errors import InvalidConfig
from mesh.security.kafka import kafka_security

Client = TypeVar("Client")


def secured(
    make: Callable[[dict[str, str | int | bool]], Client], own: Mapping[str, str | int | bool]
) -> Client:
    """What `make` makes of a client's own settings and those of `KAFKA_CLIENT_*` that are about security.

    Raises `InvalidConfig` for a value that is none, or a certificate that cannot be read.
    """
    try:
        return make({**own, **kafka_security()})
    except KafkaException as error:
        raise InvalidConfig("environment", 0, "KAFKA_CLIENT_*", error.args[0].str()) from None
