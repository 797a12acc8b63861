"""Records in the order in which they leave, a second at a time; late ones wait here for their time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from mesh.errors import InvalidInput
from mesh.simulation.faults import Fault
from mesh.simulation.records import Records, joined, no_records
from mesh.simulation.stream import Block
from mesh.simulation.transport import TRANSPORT_FAULTS, Touched

MAX_RECORDS: Final = 500_000
"""The most that may leave in a second or wait for their time: about 150 bytes each, with 16 sensors."""


class Source(Protocol):
    """Says what machines read."""

    def second(self, n: int) -> Block:
        """The readings at or after `n` and before `n` + 1 seconds, the same whenever they are asked for."""
        ...

    def next_second(self, n: int) -> int | None:
        """The first second from `n` on that may have readings; None where none has."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What `source` reads before `ends_ms`, sent with `faults` of transport by `seed`.

    `absent` bool [S] and `units` int16 [S] are those of a record without faults; `period_ms` is the time between two readings
    of a machine. `thinned` makes what each run of it sends of the records that machines read, in their order, once a second.
    """

    source: Source
    faults: Sequence[Fault]
    seed: int
    ends_ms: int
    period_ms: float
    absent: np.ndarray
    units: np.ndarray
    thinned: Callable[[], Callable[[Records], Records]] | None = None

    def seconds(self) -> Iterator[Records]:
        """The records of each second in the order of `sent_ms`, until all have left. `InvalidInput` past `MAX_RECORDS`."""
        thin = None if self.thinned is None else self.thinned()
        held, n = no_records(len(self.units)), 0
        while True:
            if not len(held):
                ahead = self.source.next_second(n)
                if ahead is None or 1_000 * ahead >= self.ends_ms:
                    return
                n = ahead
            ready = joined([held, self._made(n, thin)])
            _refuse_too_many(len(ready))
            due = ready.sent_ms < 1_000 * (n + 1)
            leaving = np.flatnonzero(due)
            # Ties leave in the order in which they were made, so that no second depends on how it was cut.
            yield ready.take(leaving[np.argsort(ready.sent_ms[leaving], kind="stable")])
            held, n = ready.take(~due), n + 1

    def _made(self, n: int, thin: Callable[[Records], Records] | None) -> Records:
        """The records of the readings of the `n`-th second, with the faults of their transport."""
        if 1_000 * n >= self.ends_ms:
            return no_records(len(self.units))
        records = self._healthy(self.source.second(n))
        if thin is not None:
            records = thin(records)
        for number, fault in enumerate(self.faults):
            rows = fault.rows(records.asset, records.read_ms)
            if not len(rows):
                continue
            if fault.kind == "flood":
                _refuse_too_many(len(records) + round(len(rows) * fault.size))
            rng = np.random.default_rng([self.seed, 3, number, n])
            touched = Touched(records, rows, fault, self.period_ms, rng)
            records = TRANSPORT_FAULTS[fault.kind](touched)
        return records.take(records.read_ms < self.ends_ms)

    def _healthy(self, block: Block) -> Records:
        time, shape = block.time_ms, block.values.shape
        return Records(
            asset=block.asset,
            read_ms=time,
            said_ms=time,
            sent_ms=time,
            values=block.values,
            absent=np.broadcast_to(self.absent, shape),
            units=np.broadcast_to(self.units, shape),
        )


def _refuse_too_many(count: int) -> None:
    if count > MAX_RECORDS:
        raise InvalidInput(
            "--rate",
            f"{count:,} records at once are more than the {MAX_RECORDS:,} that are held: lower it, or the size or part of "
            "a flood or late fault",
        )
