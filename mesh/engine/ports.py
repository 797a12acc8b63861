"""What the engine needs from outside, and what it tells: the seams that Ray, telemetry and tests fill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mesh.engine.compared import Compared, ShadowKey
from mesh.routing.breaker import BreakerPolicy
from mesh.routing.table import ModelFacts, RouteTable
from mesh.routing.types import Answer

CallOutcome = Literal["answered", "raised", "away", "overloaded", "deadline"]
ShadowOutcome = Literal["compared", "failed", "dropped", "skipped"]


class HandlePath(Protocol):
    """The slow, sure way to a model: one packed `Request` frame in, one packed `Reply` or `Failure` out."""

    async def __call__(self, payload: bytes) -> bytes:
        """Call any replica; raises `Unavailable` where none can be reached."""
        ...


class Observer(Protocol):
    """Told of what happened, on the engine's event loop; must return at once."""

    def answered(self, endpoint: str, answer: Answer, seconds: float) -> None:
        """An endpoint answered these rows, so long after they were taken."""
        ...

    def called(self, model: str, version: str, outcome: CallOutcome, rows: int, seconds: float) -> None:
        """One model call came back, or did not. `version` is `unknown` where no replica has said one."""
        ...

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """A shadow was compared (`Compared`), failed or was dropped for lack of room (its key), or had no primary (None)."""
        ...


class Silent:
    """An observer that listens to nothing."""

    def answered(self, endpoint: str, answer: Answer, seconds: float) -> None:
        """Ignore."""

    def called(self, model: str, version: str, outcome: CallOutcome, rows: int, seconds: float) -> None:
        """Ignore."""

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """Ignore."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one model. `queued_s` and `queued_callers` only grow: seconds waited, and callers that did.

    `calls_out` of `slots` calls are out over the direct path.
    """

    waiting_rows: int
    queued_s: float
    queued_callers: int
    calls_out: int
    slots: int


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """How one model is called.

    `max_inflight` is calls out per replica; `timeout_s` bounds one call; `may_sleep` says that no replica is no fault.
    """

    max_batch_rows: int = 8192
    max_inflight: int = 2
    timeout_s: float = 30.0
    may_sleep: bool = False
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What an engine answers: tables by endpoint, and the models they send rows to.

    `max_pending_rows` bounds the rows that wait per endpoint; beyond it `Overloaded` is raised. A single batch larger
    than that is taken only while nothing else waits.
    """

    tables: Mapping[str, RouteTable]
    facts: Mapping[str, ModelFacts]
    models: Mapping[str, ModelPolicy]
    rules_hash: str
    max_pending_rows: int = 16_384
    default_timeout_s: float = 60.0
    shadow_queue_rows: int = 4096
