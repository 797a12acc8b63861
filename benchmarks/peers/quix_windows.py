"""Quix Streams: mean and standard deviation of sixteen sensors over the last 64 records of an asset, each 8 records.

Settings come from the environment: KAFKA_BOOTSTRAP_SERVERS, RAW_TOPIC, FEATURES_TOPIC, GROUP. At least once, as by default.
"""

import os
import tempfile
from math import sqrt
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Aggregator

SENSORS = [f"s{number:02}" for number in range(1, 17)]


class Moments(Aggregator):
    """Count, sums and sums of squares of every sensor."""

    def initialize(self) -> list[float]:
        """Nothing yet."""
        return [0.0] * (1 + 2 * len(SENSORS))

    def agg(self, old: list[float], new: Any, timestamp: int) -> list[float]:  # noqa: ARG002 - Quix's own
        """One record more."""
        values = [new["sensors"][name] for name in SENSORS]
        sums = [old[1 + i] + value for i, value in enumerate(values)]
        squares = [old[17 + i] + value * value for i, value in enumerate(values)]
        return [old[0] + 1, *sums, *squares]

    def result(self, value: list[float]) -> list[float]:
        """The means, then the standard deviations."""
        count = value[0]
        means = [total / count for total in value[1:17]]
        deviations = [
            sqrt(max(0.0, square / count - mean * mean))
            for square, mean in zip(value[17:], means, strict=True)
        ]
        return means + deviations


def main() -> None:
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["GROUP"],
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel="WARNING",
    )
    raw = app.topic(os.environ["RAW_TOPIC"], value_deserializer="json", key_deserializer="str")
    features = app.topic(os.environ["FEATURES_TOPIC"], value_serializer="json", key_serializer="str")
    frame = app.dataframe(raw)
    frame = frame.hopping_count_window(count=64, step=8).agg(features=Moments()).final()
    frame.to_topic(features)
    app.run()


if __name__ == "__main__":
    main()
