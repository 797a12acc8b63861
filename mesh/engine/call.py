"""One call of one model, from its batch to its outcome."""

import asyncio
import time
from dataclasses import dataclass, field

from mesh.engine.batcher import Done
from mesh.routing.types import Tensors


@dataclass(slots=True, eq=False)
class Call:
    """One batch on its way."""

    tensors: Tensors
    rows: int
    queued_rows: int
    done: Done
    started: float
    ends: float
    """When nobody waits for it any more."""
    tried: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    slot: str | None = None
    """The replica whose slot it takes. A call that timed out has given its slot back, though the replica may still be at it: a
    replica that hangs then meets the breaker, instead of holding everyone who waits."""
    task: asyncio.Task[None] | None = None
    """What takes it through the handle."""
    by_handle: bool = False
    """Whether it takes one of the handle's places, which it gives back in the same way."""
    finished: bool = False

    @property
    def left_ms(self) -> int:
        """What is left of its time as it is sent. A replica scores nothing for callers that have gone."""
        return max(1, int((self.ends - time.monotonic()) * 1000))
