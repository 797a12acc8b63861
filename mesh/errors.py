"""The errors of the mesh. What each becomes on the wire is decided where it leaves: HTTP, gRPC or the stream.

MeshError
├── InvalidConfig       a YAML file or a setting is wrong: file, line, key, reason
├── ArtifactError       a model's artifact is missing, corrupt or needs an extra that is not installed
├── InvalidInput        the caller's rows are wrong: field, reason
├── NotFound            no such endpoint, model or version
├── WrongState          what is asked for does not fit the state that a thing is in
├── Unauthenticated     a change by nobody, or a token that is none of ours
├── Forbidden           whoever asks may not do this
├── RateLimited         whoever asks does so too often
├── RowsFailed          a model raised on rows that it was given
├── Unavailable         no replica answers; worth trying again
│   ├── Overloaded      refused early: too many rows are waiting
│   └── StoreAway       a store does not answer
└── DeadlineExceeded    the caller's time ran out

All survive pickling, so they cross Ray unchanged.
"""

from collections.abc import Mapping


class MeshError(Exception):
    """Anything the mesh says no with."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by their args alone, which loses keyword-only context.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(kind: type[MeshError], args: tuple[object, ...], state: dict[str, object]) -> MeshError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidConfig(MeshError):
    """`file:line: key: reason`. `line` counts from 1; 0 where it is not known."""

    def __init__(self, file: str, line: int, key: str, reason: str) -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {key}: {reason}" if key else f"{place}: {reason}")
        self.file, self.line, self.key, self.reason = file, line, key, reason


class ArtifactError(MeshError):
    """A model cannot be loaded; the message names the file and what to do."""


class InvalidInput(MeshError):
    """`field: reason`, where `field` is the caller's own name for it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class NotFound(MeshError):
    """No such endpoint, model or version; the message lists what there is."""


class WrongState(MeshError):
    """`thing` is in `state`, from which `action` does not start."""

    def __init__(self, thing: str, state: str, action: str) -> None:
        super().__init__(f"{thing} is {state}: it takes no '{action}'")
        self.thing, self.state, self.action = thing, state, action


class Unauthenticated(MeshError):
    """Nobody is named, or the token is none of ours, expired or revoked; the message says what to do."""


class Forbidden(MeshError):
    """Whoever asks is known and may not do this; the message says what it would take."""


class RateLimited(MeshError):
    """Whoever asks does so too often; try again after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class RowsFailed(MeshError):
    """A model raised on these rows; `rows` maps row → reason."""

    def __init__(self, model: str, rows: Mapping[int, str]) -> None:
        shown = "; ".join(f"row {row}: {reason}" for row, reason in list(rows.items())[:3])
        more = f" (and {len(rows) - 3} more)" if len(rows) > 3 else ""
        super().__init__(f"model '{model}' failed on {len(rows)} row(s): {shown}{more}")
        self.model, self.rows = model, dict(rows)


class Unavailable(MeshError):
    """No replica of `model` answers now; try again after `retry_after_s` seconds."""

    def __init__(self, model: str, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(f"model '{model}' is not available: {reason}")
        self.model, self.reason, self.retry_after_s = model, reason, retry_after_s


class Overloaded(Unavailable):
    """Refused early because too much is waiting; try again after `retry_after_s` seconds."""

    def __init__(self, model: str, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(model, reason, retry_after_s)
        self.args = (f"'{model}' is overloaded: {reason}",)


class StoreAway(Unavailable):
    """A store does not answer, or says no; try again after `retry_after_s` seconds."""

    def __init__(self, store: str, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(store, reason, retry_after_s)
        self.args = (f"{store} does not answer: {reason}",)


class DeadlineExceeded(MeshError):
    """The time that the caller gave ran out before an answer."""
