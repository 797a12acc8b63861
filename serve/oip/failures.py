"""What a refusal or a failure becomes on the wire. The one table of status codes."""

from dataclasses import dataclass
from typing import Final

from mesh.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    MeshError,
    NotFound,
    Overloaded,
    RateLimited,
    RowsFailed,
    Unauthenticated,
    Unavailable,
    WrongState,
)
from mesh.routing.types import Answer, RowFailure


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP status and the gRPC status (by name) that means the same."""

    http: int
    grpc: str


_STATUS_OF: Final[tuple[tuple[type[MeshError], Status], ...]] = (
    (InvalidInput, Status(400, "INVALID_ARGUMENT")),
    (Unauthenticated, Status(401, "UNAUTHENTICATED")),
    (Forbidden, Status(403, "PERMISSION_DENIED")),
    (NotFound, Status(404, "NOT_FOUND")),
    (RateLimited, Status(429, "RESOURCE_EXHAUSTED")),
    (WrongState, Status(409, "FAILED_PRECONDITION")),
    (Overloaded, Status(503, "RESOURCE_EXHAUSTED")),
    (Unavailable, Status(503, "UNAVAILABLE")),
    (DeadlineExceeded, Status(504, "DEADLINE_EXCEEDED")),
    (RowsFailed, Status(500, "INTERNAL")),
)
UNEXPECTED: Final = Status(500, "INTERNAL")


def status_of(error: MeshError) -> Status:
    """The status of an error; a subclass stands before its base in the table."""
    return next((status for kind, status in _STATUS_OF if isinstance(error, kind)), UNEXPECTED)


def retry_after(error: MeshError) -> float | None:
    """Seconds after which trying again makes sense, or None where it does not."""
    return error.retry_after_s if isinstance(error, Unavailable | RateLimited) else None


def whole_failure(endpoint: str, answer: Answer, *, partial: bool) -> MeshError | None:
    """Why the request fails as a whole, or None where it is answered.

    One failed row fails the request, unless it asked for a partial answer and some row has one. What the rows
    themselves caused outranks what time and replicas did, because trying again does not mend it.
    """
    failed = answer.failed
    if not failed or (partial and len(failed) < len(answer)):
        return None
    by_kind: dict[str, dict[int, RowFailure]] = {}
    for row, failure in failed.items():
        by_kind.setdefault(failure.kind, {})[row] = failure
    if "raised" in by_kind:
        raised = by_kind["raised"]
        models = ", ".join(sorted({failure.model for failure in raised.values()}))
        return RowsFailed(models, {row: failure.reason for row, failure in raised.items()})
    if "deadline" in by_kind:
        first = next(iter(by_kind["deadline"].values()))
        return DeadlineExceeded(f"no answer from '{endpoint}' in time: {first.reason}")
    kind = Unavailable if "away" in by_kind else Overloaded
    first = next(iter(failed.values()))
    waits = [failure.retry_after_s for failure in failed.values() if failure.retry_after_s is not None]
    return kind(first.model, first.reason, max(waits, default=1.0))
