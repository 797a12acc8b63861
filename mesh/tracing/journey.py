"""What happens to one request or micro-batch on its way, noted so cheaply that all can be noted and few kept.

The journey that the running task is on is in a context variable, so that what lies between the edges and the engine need not know
of it; without tracing it is never set.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mesh.routing.types import Answer, Origin
from mesh.tracing.context import TraceContext
from mesh.tracing.span import Attribute, Attributes, Kind

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


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The calls of a cohort, and which of its rows are this journey's: places `start` to `stop`."""

    calls: list[CallPart]
    start: int
    stop: int

    def mine(self) -> list[CallPart]:
        """The calls that concern this journey's rows."""
        return [call for call in self.calls if call.rows is None or self._touches(call.rows)]

    def _touches(self, rows: np.ndarray) -> bool:
        at = int(np.searchsorted(rows, self.start))
        return at < len(rows) and int(rows[at]) < self.stop


@dataclass(frozen=True, slots=True)
class Step:
    """Something other than a model call, such as a publish. `error` is an error's class."""

    name: str
    kind: Kind
    began_ns: int
    ended_ns: int
    attributes: Attributes
    error: str | None = None


@dataclass(slots=True, eq=False)
class Journey:
    """One request, or one micro-batch, under way. `context` is its own span, `parent` the caller's."""

    name: str
    kind: Kind
    context: TraceContext
    parent: TraceContext | None
    began_ns: int
    attributes: dict[str, Attribute]
    records: list["RecordContext"] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    origins: set[Origin] = field(default_factory=set)
    degraded: bool = False
    error: str | None = None
    rules: str = ""

    def share(self, calls: list[CallPart], start: int, stop: int) -> None:
        """The engine made these calls for a cohort of which places `start` to `stop` are ours."""
        if len(self.shares) < MAX_STEPS:
            self.shares.append(Share(calls, start, stop))

    def step(
        self, name: str, kind: Kind, began_ns: int, attributes: Attributes, error: str | None = None
    ) -> None:
        """Something that began then has ended now."""
        if len(self.steps) < MAX_STEPS:
            self.steps.append(Step(name, kind, began_ns, time.time_ns(), attributes, error))

    def answered(self, answer: Answer) -> None:
        """Rows were answered so."""
        self.origins.update(answer.origins)
        self.rules = answer.rules
        if not self.degraded and answer.degraded.any():
            self.degraded = True
        if answer.failed and self.error is None:
            self.error = next(iter(answer.failed.values())).kind


@dataclass(frozen=True, slots=True)
class RecordContext:
    """A record of a micro-batch that came with a trace of its own."""

    context: TraceContext
    partition: int
    offset: int


CURRENT: Final[ContextVar[Journey | None]] = ContextVar("journey", default=None)
"""The journey that this task is on."""


def current() -> Journey | None:
    """The journey that the running task is on; None where nothing is traced."""
    return CURRENT.get()
