"""Rows to alert events: the rules of `alerts.yaml`. See `mesh.alerts` for how they decide."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ingest.record import Polled
from ingest.stages.rows import Rows
from mesh.alerts import ORIGIN, AlertStage, Judged, Policy, ScoredRows
from mesh.pipeline.plan import Level
from mesh.routing.masks import Column
from mesh.signals.sensors import Telemetry

logger = logging.getLogger(__name__)


class Alert:
    """Holds, for each partition, what rules remember of its assets."""

    def __init__(self, policy: Policy, telemetry: Telemetry, features: tuple[str, ...]) -> None:
        """`features` names the columns of a flattened row, which rules may read."""
        self._policy, self._telemetry = policy, telemetry
        self._places = {name: at for at, name in enumerate(features)}
        self._stages: dict[int, AlertStage] = {}
        self._reads = self._made().reads

    def step(self, rows: Rows, polled: Polled, level: Level) -> list[Judged]:
        """Judge rows, a partition at a time: what each led to."""
        columns = self.columns(rows, level)
        partition = np.array([polled.partitions[at] for at in rows.cause.tolist()], np.int64)
        offset = np.array([polled.offsets[at] for at in rows.cause.tolist()], np.int64)
        judged = []
        for each in dict.fromkeys(partition.tolist()):
            chosen = np.flatnonzero(partition == each)
            scored = ScoredRows(
                [rows.assets[row] for row in chosen.tolist()],
                rows.time[chosen],
                polled.topic,
                partition[chosen],
                offset[chosen],
                {name: _taken(column, chosen) for name, column in columns.items()},
            )
            judged.append(self._stage(each).take(scored))
        return judged

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """The state of those of these assets that have one."""
        return self._stage(partition).dump(assets)

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """A partition is ours now, with the state of its assets; empty bytes are none."""
        self._stages.pop(partition, None)
        try:
            self._stage(partition).load({name: state for name, state in states.items() if state})
        except ValueError as error:
            logger.warning(
                "partition %d begins without what its alert rules remembered: %s", partition, error
            )
            self._stages.pop(partition, None)

    def end(self, partition: int) -> None:
        """A partition is another's now."""
        self._stages.pop(partition, None)

    def _stage(self, partition: int) -> AlertStage:
        if partition not in self._stages:
            self._stages[partition] = self._made()
        return self._stages[partition]

    def _made(self) -> AlertStage:
        return AlertStage(self._policy.rules, self._telemetry.max_assets, self._policy.max_keys)

    def criticality(self, asset: str) -> float:
        """As `telemetry.yaml` declares it; 1 where it does not."""
        return self._telemetry.criticality.get(asset, 1.0)

    def columns(self, rows: Rows, level: Level) -> dict[str, Column]:
        """What the rules read: columns of earlier stages, features, the level and the asset's criticality."""
        flat = rows.flat
        found: dict[str, Column] = {}
        for name in (*self._reads, *ORIGIN):
            if name in rows.columns:
                found[name] = rows.columns[name]
            elif name in self._places:
                found[name] = flat[:, self._places[name]]
            elif name == "level":
                found[name] = np.full(len(rows), int(level))
            elif name == "criticality":
                known = self._telemetry.criticality
                found[name] = np.array([known.get(asset, 1.0) for asset in rows.assets])
        return found


def _taken(column: Column, chosen: np.ndarray) -> Column:
    if isinstance(column, np.ndarray):
        return np.asarray(column[chosen])
    return None if column is None else [column[row] for row in chosen.tolist()]
