"""What goes wrong on the wire, and how the mesh's errors cross it.

WireError        bytes that are no frame, a frame out of place, or a frame that cannot be written
└── Refused      the peer ended the connection and said why
"""

from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded, Unavailable
from mesh.wire.frames import DEADLINE, INTERNAL, INVALID_INPUT, OVERLOADED, UNAVAILABLE, Failure


class WireError(Exception):
    """Bytes that are no frame, a frame that is not allowed now, or one that breaks a limit."""


class Refused(WireError):
    """The peer refuses the whole connection, not one call; `failure` is what it said."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of(call: int, error: BaseException) -> Failure:
    """How an error that ended a call crosses the wire; what is no MeshError is internal, with its class."""
    if isinstance(error, InvalidInput):
        return Failure(call, INVALID_INPUT, str(error))
    if isinstance(error, Unavailable):
        kind = OVERLOADED if isinstance(error, Overloaded) else UNAVAILABLE
        return Failure(call, kind, error.reason, error.retry_after_s)
    if isinstance(error, DeadlineExceeded):
        return Failure(call, DEADLINE, str(error))
    if isinstance(error, MeshError):
        return Failure(call, INTERNAL, str(error))
    return Failure(call, INTERNAL, f"{type(error).__name__}: {error}")


def error_of(failure: Failure, model: str) -> MeshError:
    """The error that `failure` stands for where `model` was called; unknown kinds are internal."""
    if failure.kind == INVALID_INPUT:
        field, _, reason = failure.message.partition(": ")
        return InvalidInput(field, reason)
    if failure.kind == OVERLOADED:
        return Overloaded(model, failure.message, failure.retry_after_s)
    if failure.kind == UNAVAILABLE:
        return Unavailable(model, failure.message, failure.retry_after_s)
    if failure.kind == DEADLINE:
        return DeadlineExceeded(failure.message)
    return MeshError(f"model '{model}' failed: {failure.message}")
