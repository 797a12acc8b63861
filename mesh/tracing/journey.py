"""What happens to one request or micro-batch on its way, noted so cheaply that all can be noted and few kept.

The journey that the running task is on is in a context variable, so that what lies between the edges and the engine need not know
of it; without tracing it is never set.
"""

import random
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.routing.types import Answer, Origin
from mesh.tracing.context import TraceContext
from mesh.tracing.span import Attributes, Kind

NOTHING: Final[Attributes] = {}
MAX_STEPS: Final = 256
"""Steps of one journey; a batch that is tried again for hours must not grow without end."""


@dataclass(frozen=True, slots=True, eq=False)
class CallPart:
    """One call of a model that a cohort made. `rows` are ascending places in the cohort, None for all of it."""

    model: str
    version: str
    outcome: str
    rows: np.ndarray | None
    row_count: int
    began_ns: int
    ended_ns: int
    shadow: bool = False


class CohortTrace:
    """The calls that were made for a cohort, shared by all who trace it. `troubled`: some row failed or is degraded."""

    __slots__ = ("calls", "troubled")

    def __init__(self) -> None:
        self.calls: list[CallPart] = []
        self.troubled = False

    def answered(self, answer: Answer) -> None:
        """The cohort as a whole was answered so: looked at once, not by every caller."""
        self.troubled = bool(answer.failed) or bool(answer.degraded.any())


Share = tuple[CohortTrace, int, int]
"""A cohort's trace, and which of its rows are this journey's: from the first place up to the second."""


def calls_of(share: Share) -> list[CallPart]:
    """The calls of a cohort that concern this journey's rows."""
    cohort, start, stop = share
    return [call for call in cohort.calls if call.rows is None or _touches(call.rows, start, stop)]


def _touches(rows: np.ndarray, start: int, stop: int) -> bool:
    at = int(np.searchsorted(rows, start))
    return at < len(rows) and int(rows[at]) < stop


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
    shares: tuple[Share, ...] = ()
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

    def share(self, cohort: CohortTrace, start: int, stop: int) -> None:
        """The engine answers a cohort of which places `start` to `stop` are ours."""
        if len(self.shares) < MAX_STEPS:
            self.shares = (*self.shares, (cohort, start, stop))

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
        for share in self.shares:
            if share[0].troubled:
                return any(bool(answer.failed) or bool(answer.degraded.any()) for answer in self._answers)
        return False

    @property
    def degraded(self) -> bool:
        """Some row of ours is not answered as its routes asked."""
        return any(bool(answer.degraded.any()) for answer in self._answers)

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
            answer.origins[at]
            for answer in self._answers
            for at in np.unique(answer.origin_of).tolist()
            if at >= 0
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
