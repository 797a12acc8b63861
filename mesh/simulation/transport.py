"""What goes wrong between a machine and Kafka: one function a kind, of the records and the rows that one fault touches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from mesh.simulation.faults import Fault
from mesh.simulation.records import Records, joined


@dataclass(frozen=True, slots=True)
class Touched:
    """`rows` of `records` are in `fault`; `period_ms` is the time between two readings of a machine, `rng` the fault's own."""

    records: Records
    rows: np.ndarray
    fault: Fault
    period_ms: float
    rng: np.random.Generator

    @property
    def chosen(self) -> np.ndarray:
        """The share `part` of the rows."""
        return self.rows[self.rng.random(len(self.rows)) < self.fault.part]

    @property
    def cells(self) -> tuple[np.ndarray, ...]:
        """The fault's sensors in its rows."""
        return np.ix_(self.rows, np.array(self.fault.sensors))


def clock_skew(touched: Touched) -> Records:
    """The machine's clock is `size` seconds ahead, or behind where it is negative."""
    said = touched.records.said_ms.copy()
    said[touched.rows] += round(touched.fault.size * 1e3)
    return replace(touched.records, said_ms=said)


def duplicates(touched: Touched) -> Records:
    """The share `part` of the records is sent again, `size` seconds later."""
    again = touched.records.take(touched.chosen)
    again = replace(again, sent_ms=again.sent_ms + round(touched.fault.size * 1e3))
    return joined([touched.records, again])


def late(touched: Touched) -> Records:
    """The share `part` of the records is sent up to `size` seconds late, each by its own delay, and so out of order."""
    rows, sent = touched.chosen, touched.records.sent_ms.copy()
    sent[rows] += np.ceil(touched.rng.random(len(rows)) * touched.fault.size * 1e3).astype(np.int64)
    return replace(touched.records, sent_ms=sent)


def missing_sensor(touched: Touched) -> Records:
    """The records do not name the sensors at all."""
    absent = touched.records.absent.copy()
    absent[touched.cells] = True
    return replace(touched.records, absent=absent)


def unit_change(touched: Touched) -> Records:
    """The records say the new unit, or, as the fault has it, nothing: the values themselves were changed before."""
    units = touched.records.units.copy()
    units[touched.cells] = touched.fault.unit
    return replace(touched.records, units=units)


def flood(touched: Touched) -> Records:
    """`size` records instead of one: the reading again and again, each with a time of its own, until the next."""
    more = round(touched.fault.size) - 1
    rows = np.repeat(touched.rows, more)
    step = np.tile(np.arange(1, more + 1), len(touched.rows)) * touched.period_ms / (more + 1)
    later = np.minimum(
        np.floor(step).astype(np.int64), touched.fault.ends_ms - 1 - touched.records.read_ms[rows]
    )
    again = touched.records.take(rows)
    again = replace(
        again,
        read_ms=again.read_ms + later,
        said_ms=again.said_ms + later,
        sent_ms=again.sent_ms + later,
    )
    return joined([touched.records, again])


TRANSPORT_FAULTS: Final[Mapping[str, Callable[[Touched], Records]]] = MappingProxyType(
    {
        "clock_skew": clock_skew,
        "duplicates": duplicates,
        "late": late,
        "missing_sensor": missing_sensor,
        "unit_change": unit_change,
        "flood": flood,
    }
)
"""Each kind with the function that makes the records which leave of those that were read."""
