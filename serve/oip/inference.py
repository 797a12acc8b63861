"""One inference request between its parser and its writer; the same for HTTP and gRPC."""

import time
from typing import Final

from mesh.errors import NotFound, Overloaded
from mesh.routing.types import Answer
from mesh.tracing.journey import CURRENT, Journey
from mesh.tracing.span import Attribute
from mesh.tracing.tracer import Tracer
from serve.oip.failures import whole_failure
from serve.oip.identifiers import Identifiers
from serve.oip.ports import (
    Admission,
    AnswerTap,
    EdgeProtocol,
    EndpointFacts,
    Limits,
    Mesh,
    NoObserver,
    RequestObserver,
    ServerFacts,
)
from serve.oip.request import Asked, InferRequest
from serve.oip.statistics import Statistics

_DEFAULT_FACTS: Final = EndpointFacts()
UNKNOWN: Final = "unknown"
CALLERS_FAULT: Final = frozenset(
    {"400", "404", "405", "411", "413", "415", "499", "INVALID_ARGUMENT", "NOT_FOUND", "CANCELLED"}
)
"""Status codes that say nothing about the mesh: whoever sends nonsense must not fill the traces."""


class Inference:
    """Resolves endpoints, asks the mesh, and keeps count. One per process and event loop."""

    def __init__(
        self,
        mesh: Mesh,
        server: ServerFacts,
        limits: Limits | None = None,
        observer: RequestObserver | None = None,
        admission: Admission | None = None,
        tracer: Tracer | None = None,
        tap: AnswerTap | None = None,
    ) -> None:
        """Without an `admission` everybody is answered. `tap` sees each answer."""
        self.mesh = mesh
        self.server = server
        self.limits = limits or Limits()
        self.statistics = Statistics()
        self.identifiers = Identifiers()
        self._observer: RequestObserver = observer or NoObserver()
        self._tracer = tracer
        self._tap = tap
        self.admission = admission
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Requests that wait for the mesh."""
        return self._under_way

    def know(self, server: ServerFacts) -> None:
        """From now on this is what configuration says."""
        self.server = server

    def facts(self, endpoint: str) -> EndpointFacts:
        """What configuration says of an endpoint."""
        return self.server.endpoints.get(endpoint, _DEFAULT_FACTS)

    def resolve(self, endpoint: str, version: str = "") -> str:
        """The endpoint that hosts a version: `anomaly` in version `2` is `anomaly@2` where there is one."""
        beside = f"{endpoint}@{version}"
        return beside if version and beside in self.mesh.endpoints else endpoint

    def version_of(self, endpoint: str, asked: str = "") -> str:
        """The endpoint's version; `NotFound` for an unknown endpoint, or a version that it does not have."""
        known = self.mesh.endpoints
        if endpoint not in known:
            beside = [name for name in known if name.partition("@")[0] == endpoint]
            raise NotFound(f"no model '{endpoint}'; there are: {', '.join(beside or known)}")
        version = self.facts(endpoint).version
        if asked and asked != version:
            raise NotFound(f"model '{endpoint}' has no version '{asked}', only '{version}'")
        return version

    def ask(
        self,
        endpoint: str,
        version: str,
        *,
        default_id: str,
        timeout_ms: str | None = None,
        variant: str | None = None,
        time_left_s: float | None = None,
    ) -> Asked:
        """What a parser must know of a request before it reads the body; `NotFound` as in `version_of`."""
        endpoint = self.resolve(endpoint, version)
        version = self.version_of(endpoint, version)
        received = time.monotonic()
        return Asked(
            endpoint,
            version,
            self.mesh.signature(endpoint),
            self.mesh.attributes_read(endpoint),
            received,
            self.limits.rows,
            default_id,
            timeout_ms,
            variant,
            None if time_left_s is None else received + time_left_s,
        )

    def begin(self, traceparent: str | bytes | None) -> Journey | None:
        """The journey of a request, which ends in `answered` or `refused`; None where none is kept, or only if it goes wrong."""
        tracer = self._tracer
        return None if tracer is None else tracer.asked(traceparent)

    def late(self, journey: Journey | None, received: float) -> Journey | None:
        """The journey of a request that went wrong; None where nothing is traced."""
        if journey is not None or self._tracer is None:
            return journey
        return self._tracer.late(time.monotonic() - received)

    async def answer(self, request: InferRequest, journey: Journey | None = None) -> Answer:
        """Ask the mesh; any `MeshError` means that the request as a whole has no answer."""
        if self._under_way >= self.limits.requests:
            raise Overloaded(request.endpoint, f"{self._under_way} requests are under way")
        self._under_way += 1
        token = None if journey is None else CURRENT.set(journey)  # for logs
        try:
            answer = await self.mesh.infer(
                request.endpoint, request.batch, deadline=request.deadline, variant=request.variant
            )
        finally:
            self._under_way -= 1
            if token is not None:
                CURRENT.reset(token)
        if journey is not None:
            journey.answered(answer)
        elif self._tracer is not None and answer.troubled:
            _begin_late(self._tracer, answer)
        failure = whole_failure(request.endpoint, answer, partial=request.partial)
        if failure is not None:
            raise failure
        if self._tap is not None:
            self._tap.look(request.endpoint, request.batch, answer)
        return answer

    def answered(
        self,
        endpoint: str,
        protocol: EdgeProtocol,
        code: str,
        rows: int,
        received: float,
        journey: Journey | None = None,
        request_id: str = "",
    ) -> None:
        """Count a request that was answered; `received` is `time.monotonic` at its beginning."""
        seconds = time.monotonic() - received
        self.statistics.succeeded(endpoint, rows, seconds)
        self._observer.requested(endpoint, protocol, code, rows, seconds)
        tracer = self._tracer
        if tracer is not None and (journey is not None or CURRENT.get() is not None):
            self._end(tracer, journey, endpoint, protocol, code, rows, request_id, None, seconds)

    def refused(
        self,
        endpoint: str,
        protocol: EdgeProtocol,
        code: str,
        rows: int,
        received: float,
        journey: Journey | None = None,
        request_id: str = "",
    ) -> None:
        """Count a request that was refused or failed. Names that nobody serves are counted as one."""
        seconds = time.monotonic() - received
        if endpoint in self.mesh.endpoints:
            self.statistics.failed(endpoint, seconds)
        else:
            endpoint = UNKNOWN
        self._observer.requested(endpoint, protocol, code, rows, seconds)
        if self._tracer is not None:
            error = None if code in CALLERS_FAULT else code
            self._end(self._tracer, journey, endpoint, protocol, code, rows, request_id, error, seconds)

    @staticmethod
    def _end(
        tracer: Tracer,
        journey: Journey | None,
        endpoint: str,
        protocol: EdgeProtocol,
        code: str,
        rows: int,
        request_id: str,
        error: str | None,
        seconds: float,
    ) -> None:
        if journey is None:
            journey = _begun_late(tracer, error, seconds)
        if journey is None or not tracer.kept(journey, error):
            return
        transport = "rpc.system" if protocol == "grpc" else "network.protocol.name"
        attributes: dict[str, Attribute] = {
            "mesh.endpoint": endpoint,
            transport: protocol,
            "mesh.request.id": request_id,
            "mesh.rows": rows,
            "mesh.status": code,
        }
        tracer.tell(journey, "server", f"infer {endpoint}", attributes)


def _begin_late(tracer: Tracer, answer: Answer) -> None:
    """A journey for a request that begins to be one only now, because something is wrong; `_end` finds it in this task."""
    late = tracer.late(0.0)
    late.answered(answer)
    CURRENT.set(late)


def _begun_late(tracer: Tracer, error: str | None, seconds: float) -> Journey | None:
    """The journey of a request that nobody meant to keep: None where all went well."""
    late = CURRENT.get()
    if late is None:
        return None if error is None else tracer.late(seconds)
    CURRENT.set(None)  # a connection's next request is of the same task
    late.began_ns = time.time_ns() - int(seconds * 1e9)
    return late


def told(journey: Journey | None, request_id: str) -> dict[str, str]:
    """What a log record says of the request that it belongs to."""
    found = {"request_id": request_id}
    return found if journey is None else {**found, "trace_id": journey.context.trace_id}
