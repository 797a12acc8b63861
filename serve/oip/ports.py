"""What the edge needs from the mesh, and what it tells: the seams to the engine, its facts and its telemetry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mesh.routing.types import Answer, Batch, Signature, Variant

EdgeProtocol = Literal["http", "grpc"]


class InferenceEngine(Protocol):
    """Answers batches. Cancelling a call must leave other callers' rows alone: the engine sees to that."""

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N >= 1 rows by `deadline` (`time.monotonic` seconds).

        Raises `NotFound`, `Unavailable`, `Overloaded`, `DeadlineExceeded`, `InvalidInput`; rows without an answer are in
        `Answer.failed`.
        """
        ...


class AnswerTap(Protocol):
    """Looks at answers on their way out; must return at once."""

    def look(self, endpoint: str, batch: Batch, answer: Answer) -> None:
        """These rows were answered."""
        ...


class Endpoints(Protocol):
    """What can be asked, and what each takes."""

    @property
    def endpoints(self) -> Sequence[str]:
        """Every name that `infer` takes."""
        ...

    def signature(self, endpoint: str) -> Signature | None:
        """Inputs and outputs, or None while no replica has said so. Called with known names only."""
        ...

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The attributes that the endpoint's rules read. Called with known names only."""
        ...


class Readiness(Protocol):
    """Can an endpoint answer now?"""

    def ready(self, endpoint: str) -> bool:
        """Every model of the endpoint has a replica. Called with known names only."""
        ...


class Mesh(InferenceEngine, Endpoints, Readiness, Protocol):
    """All of the above; `mesh.engine.engine.Engine` is one."""


class Admission(Protocol):
    """Who may be answered."""

    async def admit_inference(self, authorization: str | None, certificate: str | None = None) -> None:
        """Let a call in by its `authorization` (of HTTP or of gRPC's metadata), or the name in its client's certificate.

        Raises `Unauthenticated`, `RateLimited`, `StoreAway`.
        """
        ...


class RequestObserver(Protocol):
    """Told of every inference request that was answered or refused; must return at once."""

    def requested(self, endpoint: str, protocol: EdgeProtocol, code: str, rows: int, seconds: float) -> None:
        """`endpoint` is `unknown` where there is none of that name, `code` an HTTP status or a gRPC status name.

        `rows` is 0 where the request was refused before it was understood.
        """
        ...


class NoObserver:
    """An observer that listens to nothing."""

    def requested(self, endpoint: str, protocol: EdgeProtocol, code: str, rows: int, seconds: float) -> None:
        """Ignore."""


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What configuration knows of an endpoint beyond its signature.

    `version` must be numeric, as Triton's addresses want it; `platform` is free text. `has_confidence`: answers carry
    the output `confidence`.
    """

    version: str = "1"
    platform: str = "hyperstream_route_table"
    has_confidence: bool = False


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Who answers: name, version, and facts by endpoint (an endpoint that is not listed has the defaults)."""

    name: str
    version: str
    endpoints: Mapping[str, EndpointFacts]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for.

    `body_bytes` bounds a body as sent and again as decompressed, and a gRPC message; `api_bytes` the body of any other
    call over HTTP, of which rules with their models are the largest; `body_idle_s` is the longest pause between two
    pieces of a body; `requests` is how many inference requests may be under way in one process, `held_bytes` the bytes of
    those that came over gRPC, in streams until their replies were taken.
    """

    body_bytes: int = 64 * 1024 * 1024
    api_bytes: int = 4 * 1024 * 1024
    rows: int = 16_384
    body_idle_s: float = 10.0
    requests: int = 4096
    held_bytes: int = 1 << 30
