"""What was used between two looks at the metrics of a mesh."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

GB: Final = 1e9
HOUR_S: Final = 3_600.0

Series = Mapping[tuple[str, ...], float]
"""Values of one metric by its labels' values."""
_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sample:
    """The metrics at a moment, `seconds` on any clock that does not go back.

    `cpu_s` and `memory_bytes` by process, pid and node, `bytes_read` and `records` by topic (totals so far), `alerts` the total
    of alerts that opened, `replicas` those of each model, `level` the chain's level.
    """

    seconds: float
    cpu_s: Series = field(default_factory=dict)
    memory_bytes: Series = field(default_factory=dict)
    bytes_read: Series = field(default_factory=dict)
    records: Series = field(default_factory=dict)
    alerts: float = 0.0
    replicas: Mapping[str, float] = field(default_factory=dict)
    level: int = 0


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What all processes of one name used: processor time, and memory times time."""

    process: str
    cpu_s: float
    memory_gb_h: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mesh used in `seconds`. `gpus` are held all the time; `stored_gb` by tier lie there now."""

    seconds: float
    processes: tuple[ProcessUse, ...]
    network_gb: float
    records: float
    alerts: float
    level: int
    gpus: float = 0.0
    stored_gb: Mapping[str, float] = field(default_factory=dict)


def usage_between(
    before: Sample,
    after: Sample,
    gpus_of: Mapping[str, float] = _NOTHING,
    stored_gb: Mapping[str, float] = _NOTHING,
) -> Usage:
    """What was used from one look to the next. `gpus_of` is what a replica of each model holds.

    A process that began in between counts from its beginning; of one that ended in between, nothing is known but what it held,
    and it counts with half of the time. `ValueError` where no time passed.
    """
    seconds = after.seconds - before.seconds
    if seconds <= 0:
        raise ValueError(f"the second look must come after the first, got {seconds:g} s")
    cpu: defaultdict[str, float] = defaultdict(float)
    memory: defaultdict[str, float] = defaultdict(float)
    for labels, used in after.cpu_s.items():
        cpu[labels[0]] += max(0.0, used - before.cpu_s.get(labels, 0.0))
    for labels in before.memory_bytes.keys() | after.memory_bytes.keys():
        # The mean of both looks; a process that is not there holds nothing.
        held = (before.memory_bytes.get(labels, 0.0) + after.memory_bytes.get(labels, 0.0)) / 2
        memory[labels[0]] += held / GB * seconds / HOUR_S
    return Usage(
        seconds=seconds,
        processes=tuple(
            ProcessUse(name, cpu[name], memory[name]) for name in sorted(cpu.keys() | memory.keys())
        ),
        network_gb=_grown(before.bytes_read, after.bytes_read) / GB,
        records=_grown(before.records, after.records),
        alerts=max(0.0, after.alerts - before.alerts),
        level=max(before.level, after.level),
        gpus=sum(count * gpus_of.get(model, 0.0) for model, count in after.replicas.items()),
        stored_gb=dict(stored_gb),
    )


def _grown(before: Series, after: Series) -> float:
    """By how much totals grew; one that fell began anew, as after a restart."""
    growth = 0.0
    for labels, value in after.items():
        was = before.get(labels, 0.0)
        growth += value - was if value >= was else value
    return growth
