"""What became of a call to a model: as a result for its callers, and as a word for who counts."""

from mesh.engine.batcher import Outcome
from mesh.engine.direct.link import LinkLost
from mesh.engine.ports import CallOutcome
from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded, Unavailable
from mesh.routing.types import FailureKind, Unreachable


def outcome_of(error: MeshError) -> Outcome:
    """An error from a model call, as a result where it is not the rows' own fault."""
    if isinstance(error, InvalidInput):
        return error
    if isinstance(error, Overloaded):
        return Unreachable("overloaded", error.reason, error.retry_after_s)
    if isinstance(error, Unavailable):
        return Unreachable("away", error.reason, error.retry_after_s)
    if isinstance(error, DeadlineExceeded):
        return Unreachable("deadline", str(error))
    kind: FailureKind = "away" if isinstance(error, LinkLost) else "raised"
    return Unreachable(kind, str(error))


def kind_of(outcome: Outcome, rows: int) -> CallOutcome:
    """The word for what a call of `rows` rows brought."""
    if isinstance(outcome, Unreachable):
        return outcome.kind
    if isinstance(outcome, MeshError):
        return "answered"  # the caller's rows were refused by a model that is well
    return "raised" if outcome.failed and len(outcome.failed) == rows else "answered"
