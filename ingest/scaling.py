"""How many readers the lag needs. The policy runs in Serve's controller."""

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

from ingest.config import IngestConfig

LAG: Final = "ingest_lag_records"
"""Records in a reader's partitions after the committed offsets."""

PARTITIONS: Final = "ingest_partitions"
"""Partitions that a reader has."""

TARGET_LAG: Final = "ingest_target_lag"
"""Records of lag that one reader is meant to work off."""

POLICY: Final = "ingest.scaling:replicas_for_lag"


class Context(Protocol):
    """The part of Serve's `AutoscalingContext` that is read."""

    current_num_replicas: int
    target_num_replicas: int
    aggregated_metrics: Mapping[str, Mapping[object, float]] | None


def replicas_for_lag(context: Context) -> tuple[float, dict[str, object]]:
    """Readers wanted, before Serve's own delays and bounds, and no state of ours.

    Stays where it is while Kafka is away or the group is being balanced: no reader then knows its partitions.
    """
    metrics = context.aggregated_metrics or {}
    partitions = sum(metrics.get(PARTITIONS, {}).values())
    target = max(metrics.get(TARGET_LAG, {}).values(), default=0.0)
    if not partitions or not target:
        return context.target_num_replicas, {}
    return readers_for(sum(metrics.get(LAG, {}).values()), partitions, target), {}


def readers_for(lag: float, partitions: float, target_lag: float) -> int:
    """One for every `target_lag` records of lag, at least one, never more than partitions: the rest would idle."""
    return max(1, min(math.ceil(lag / target_lag), math.ceil(partitions)))


def scaling_options(config: IngestConfig) -> dict[str, Any]:
    """The options of a deployment whose replicas are readers."""
    if config.min_readers == config.max_readers:
        return {"num_replicas": config.min_readers}
    return {
        "autoscaling_config": {
            "min_replicas": config.min_readers,
            "max_replicas": config.max_readers,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": 60.0,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 5.0,
            "policy": {"policy_function": POLICY},
        }
    }
