"""How many replicas a model needs, by the load that Serve cannot see. Runs in Serve's controller.

A row is a request here: `target_ongoing_requests` is the number of rows that one replica should have in work
or waiting, on the direct path as on the handle path. Delays, bounds, scaling to zero and waking from it are
Serve's own.
"""

from collections.abc import Mapping
from typing import Final, Protocol

ONGOING: Final = "mesh_ongoing_rows"
"""Rows that a replica has on the direct path, in work or waiting."""

QUEUED: Final = "mesh_queued_rows"
"""Rows that wait for the model in the engines; every replica hears of the same queues."""

POLICY: Final = "mesh.cluster.autoscaling:replicas_for_load"


class _Target(Protocol):
    def get_target_ongoing_requests(self) -> float: ...


class Context(Protocol):
    """The part of Serve's `AutoscalingContext` that is read."""

    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    aggregated_metrics: Mapping[str, Mapping[object, float]] | None
    config: _Target


def replicas_for_load(context: Context) -> tuple[float, dict[str, object]]:
    """Replicas wanted, before delays and bounds, and no state of our own."""
    if context.current_num_replicas == 0:
        return context.target_num_replicas, {}
    load = total_load(context.total_num_requests, context.aggregated_metrics or {})
    return load / context.config.get_target_ongoing_requests(), {}


def total_load(handle_requests: float, metrics: Mapping[str, Mapping[object, float]]) -> float:
    """Requests at handles, plus rows at replicas, plus rows in the engines' queues.

    Queues are counted once: each replica reports those of all engines, so the largest report stands for all.
    """
    ongoing = sum(metrics.get(ONGOING, {}).values())
    queued = max(metrics.get(QUEUED, {}).values(), default=0.0)
    return handle_requests + ongoing + queued
