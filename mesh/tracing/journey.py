"""What happens to one request or micro-batch on its way, noted so cheaply that all can be noted and few kept.

The journey that the running task is on is in a context variable, so that what lies between the edges and the engine need not know
of it: for logs, and for the steps of a batch. Without tracing it is never set.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from mesh.routing.calls import CallShare
from mesh.routing.types import Answer, Origin
from mesh.tracing.context import TraceContext
from mesh.tracing.span import Attributes, Kind

NOTHING: Final[Attributes] = {}
MAX_STEPS: Final = 256
"""Steps of one journey; a batch that is tried again for hours must not grow without end."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something other than a model call, such as a publish. `error` is an error's class."""

    name: str
    kind: Kind
    began_ns: int
    ended_ns: int
    attributes: Attributes
    error: str | None = None


class Journey:
    """One request, or one micro-batch, under way: no more than two lists until something is to be told of it.

    `parent` is the caller's span. The journey's own `context` is made when somebody asks for it.
    """

    error: str | None = None
    kind: Kind = "internal"
    name: str = ""
    attributes: Attributes = NOTHING
    records: "Sequence[RecordContext]" = ()
    steps: Sequence[Step] = ()
    _answers: tuple[Answer, ...] = ()
    _context: TraceContext | None = None

    def __init__(self, parent: TraceContext | None, sampled: bool) -> None:
        # What most journeys never have stays on the class: this runs for every request.
        self.parent, self.sampled, self.began_ns = parent, sampled, time.time_ns()

    @property
    def context(self) -> TraceContext:
        """The journey's own span."""
        known = self._context
        if known is None:
            trace_id = new_trace_id() if self.parent is None else self.parent.trace_id
            known = self._context = TraceContext(trace_id, new_span_id(), self.sampled)
        elif known.sampled != self.sampled:
            known = self._context = TraceContext(known.trace_id, known.span_id, self.sampled)
        return known

    def step(
        self, name: str, kind: Kind, began_ns: int, attributes: Attributes, error: str | None = None
    ) -> None:
        """Something that began then has ended now."""
        if len(self.steps) < MAX_STEPS:
            self.steps = [*self.steps, Step(name, kind, began_ns, time.time_ns(), attributes, error)]

    def answered(self, answer: Answer) -> None:
        """Rows were answered so. What of it matters is read when the journey is kept."""
        if len(self._answers) < MAX_STEPS:
            self._answers = (*self._answers, answer)

    @property
    def troubled(self) -> bool:
        """Some row of ours failed or is degraded."""
        return any(answer.troubled for answer in self._answers)

    @property
    def shares(self) -> Iterator[CallShare]:
        """The calls that its answers rest on."""
        return (answer.calls for answer in self._answers if answer.calls is not None)

    @property
    def degraded(self) -> bool:
        """Some row of ours is not answered as its routes asked."""
        return any(answer.is_degraded for answer in self._answers)

    @property
    def failure(self) -> str | None:
        """What went wrong: what was told, else the kind of the first row that failed."""
        if self.error is not None:
            return self.error
        return next((one.kind for answer in self._answers for one in answer.failed.values()), None)

    @property
    def origins(self) -> set[Origin]:
        """Who answered rows of ours."""
        return {
            answer.origins[at] for answer in self._answers for at in set(answer.origin_of.tolist()) if at >= 0
        }

    @property
    def rules(self) -> str:
        """The content hash of the rules that decided."""
        return self._answers[-1].rules if self._answers else ""


@dataclass(frozen=True, slots=True)
class RecordContext:
    """A record of a micro-batch that came with a trace of its own."""

    context: TraceContext
    partition: int
    offset: int


def new_trace_id() -> str:
    """32 hexadecimal digits."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """16 hexadecimal digits."""
    return f"{random.getrandbits(64) or 1:016x}"


CURRENT: Final[ContextVar[Journey | None]] = ContextVar("journey", default=None)
"""The journey that this task is on."""


def current() -> Journey | None:
    """The journey that the running task is on; None where nothing is traced."""
    return CURRENT.get()
