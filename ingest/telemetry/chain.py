"""The stages of the plan, put together, up to the first that asks a model. Pure: a poll in, rows out, state kept by asset.

An asset belongs to the partition that its records came from, so names hold both. What a poll gives does not depend on how the
stream was cut into polls, nor on the assets beside it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ingest.record import Polled
from ingest.stages.decode import Decode, Decoded
from ingest.stages.denoise import Denoise
from ingest.stages.detect import Detect
from ingest.stages.extract import Extract
from ingest.stages.rows import Rows
from ingest.stages.synchronise import Synchronise
from mesh.pipeline.plan import Level, PipelinePlan, StagePlan
from mesh.signals.asset_states import AssetStates
from mesh.signals.sensors import Readings, Telemetry
from mesh.signals.slots import SlotArrays

_MADE_BY: Final[Mapping[str, Callable[[Telemetry], Any]]] = {
    "synchronise": Synchronise,
    "denoise": Denoise,
    "features": Extract,
    "detect": Detect,
}


@dataclass(frozen=True, slots=True)
class AssetState:
    """The state of an asset once every record before offset `upto` of its partition was taken."""

    upto: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Computed:
    """What a poll gave.

    `rows` are the results of the stages that gave some, by stage; `cause` of a row is a position in the poll, and so are `late`
    int64. `since` is the first and `upto` the next offset of each partition; `anew` are partitions whose offsets began again,
    as those of a topic that was deleted and made anew. `touched` are the assets of each whose state has changed, `forgotten`
    those that made room for others; of `restarted` the clock was set back. `seconds` is the time that each stage took.
    """

    decoded: Decoded
    rows: Mapping[str, Rows]
    late: np.ndarray
    since: Mapping[int, int]
    upto: Mapping[int, int]
    anew: Sequence[int]
    touched: Mapping[int, frozenset[str]]
    forgotten: Sequence[tuple[int, str]]
    restarted: int
    seconds: Mapping[str, float]

    @property
    def windows(self) -> Rows:
        """The rows as the features stage gave them; every other result has the same windows."""
        return next(iter(self.rows.values()))


class Chain:
    """Runs the early stages of a plan. Not thread-safe: one thread at a time."""

    def __init__(self, telemetry: Telemetry, plan: PipelinePlan, max_record_bytes: int) -> None:
        self._plan = [stage for stage in plan.stages if stage.name in early(plan.stages)]
        self._decode = Decode(telemetry, max_record_bytes)
        self._stages = {
            stage.name: _MADE_BY[stage.kind](telemetry) for stage in self._plan if stage.kind in _MADE_BY
        }
        states: list[SlotArrays] = [state for stage in self._stages.values() for state in stage.states]
        self._assets = AssetStates(telemetry.max_assets, states)
        self._ahead: dict[int, dict[str, int]] = defaultdict(dict)
        self._next: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._assets)

    @property
    def digest(self) -> str:
        """Names the layout of an asset's state."""
        return self._assets.digest

    def compute(self, polled: Polled, level: Level) -> Computed:
        """Every record of partitions that are still ours is taken, refused or late; the next poll must come after it."""
        ours = [
            span for span in polled.spans if not span.abandoned
        ]  # asked once: a partition may go meanwhile
        anew = [span.partition for span in ours if span.first < self._next.get(span.partition, 0)]
        for partition in anew:
            self.begin(partition, {}, 0)
        began = time.perf_counter()
        gone = {span.partition for span in polled.spans}.difference(span.partition for span in ours)
        decoded = self._not_yet_taken(polled, self._decode.open(polled), gone)
        seconds = {"decode": time.perf_counter() - began}
        partitions = [polled.partitions[at] for at in decoded.positions]
        keys = [f"{partition}/{asset}" for partition, asset in zip(partitions, decoded.assets, strict=True)]
        slots, forgotten = self._assets.seat(keys)
        values: dict[str, Any] = {}
        late, restarted = np.empty(0, np.int64), 0
        for stage in self._plan:
            began = time.perf_counter()
            if stage.kind == "decode":
                values[stage.name] = Readings(slots, decoded.time, decoded.values)
                continue
            value = values[stage.after[0]]
            if level > stage.upto:
                values[stage.name] = value  # what gives what it takes can be left out
                continue
            result = self._stages[stage.name].step(value)
            if stage.kind == "synchronise":
                late, restarted, result = result.late, len(result.restarted), result.steps
            elif stage.kind == "features":
                result = self._named(result, decoded)
            values[stage.name] = result
            seconds[stage.name] = time.perf_counter() - began
        upto = {span.partition: span.last + 1 for span in ours}
        self._next.update(upto)
        return Computed(
            decoded,
            {name: value for name, value in values.items() if isinstance(value, Rows)},
            np.array(decoded.positions, np.int64)[late],
            {span.partition: span.first for span in ours},
            upto,
            anew,
            _touched(keys),
            [split(key) for key in forgotten],
            restarted,
            seconds,
        )

    def dump(self, partition: int, assets: Iterable[str]) -> dict[str, bytes]:
        """The state of those of these assets that are remembered."""
        found = self._assets.dump([f"{partition}/{asset}" for asset in assets])
        return {split(key)[1]: state for key, state in found.items()}

    def begin(
        self, partition: int, states: Mapping[str, AssetState], resume: int
    ) -> Sequence[tuple[int, str]]:
        """A partition is ours now, to be read from `resume`: what is remembered of it gives way to `states`.

        Records that an asset's state holds already are passed over as they are read again. Returns the assets, by partition,
        that were forgotten to make room.

        Raises:
            ValueError: states of another layout.
        """
        self.end(partition)
        forgotten = self._assets.load({f"{partition}/{asset}": kept.state for asset, kept in states.items()})
        self._next[partition] = resume
        self._ahead[partition] = {asset: kept.upto for asset, kept in states.items()}
        return [split(key) for key in forgotten]

    def end(self, partition: int) -> None:
        """A partition is another's now: forget its assets."""
        self._ahead.pop(partition, None)
        self._next.pop(partition, None)
        self._assets.forget([key for key in self._assets.names if split(key)[0] == partition])

    def _not_yet_taken(self, polled: Polled, decoded: Decoded, gone: AbstractSet[int]) -> Decoded:
        """Without records of partitions that have moved away, and those that a loaded state holds."""
        if not gone and not any(self._ahead.values()):
            return decoded
        kept = []
        for row, (at, asset) in enumerate(zip(decoded.positions, decoded.assets, strict=True)):
            ahead = self._ahead[polled.partitions[at]]
            upto = ahead.get(asset)
            if upto is not None and polled.offsets[at] >= upto:
                del ahead[asset]
                upto = None
            if upto is None and polled.partitions[at] not in gone:
                kept.append(row)
        return replace(
            decoded,
            positions=[decoded.positions[row] for row in kept],
            assets=[decoded.assets[row] for row in kept],
            time=decoded.time[kept],
            values=decoded.values[kept],
        )

    def _named(self, rows: Rows, decoded: Decoded) -> Rows:
        names = [split(key)[1] for key in self._assets.names_of(rows.slot)]
        return replace(rows, assets=names, cause=np.array(decoded.positions, np.int64)[rows.cause])


def early(stages: Sequence[StagePlan]) -> frozenset[str]:
    """The stages that ask no model, nor wait for one that does, and end in no alert."""
    late: set[str] = set()
    for stage in stages:
        if stage.kind in ("score", "alert") or late.intersection(stage.after):
            late.add(stage.name)
    return frozenset(stage.name for stage in stages) - late


def split(key: str) -> tuple[int, str]:
    """Partition and asset."""
    partition, _, asset = key.partition("/")
    return int(partition), asset


def _touched(keys: Sequence[str]) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for key in dict.fromkeys(keys):
        partition, asset = split(key)
        found[partition].add(asset)
    return {partition: frozenset(assets) for partition, assets in found.items()}
