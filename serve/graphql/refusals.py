"""Why an operation ends: every error that clients see has a message that says what to do and `extensions.code`.

MeshError
├── SlowReader    a subscriber did not take what came
├── LogTrimmed    what a subscriber should get next is not kept any more
└── LogOff        ingest writes no log, so there is nothing to subscribe to
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import GraphQLError

from mesh.errors import InvalidInput, MeshError, NotFound, Unavailable


class SlowReader(MeshError):
    """The subscriber is dropped; `after` is the cursor of the last prediction that it was given, where there is one."""

    def __init__(self, waiting: int, after: str | None = None) -> None:
        fix = (
            f'; subscribe again with after: "{after}"' if after else "; read GET /alerts and subscribe again"
        )
        super().__init__(f"{waiting} events waited for this reader, which is the limit: it is dropped{fix}")
        self.after = after


class LogTrimmed(MeshError):
    """Entries after `after` are gone; a new subscription without `after` begins with what comes now."""

    def __init__(self, after: str) -> None:
        super().__init__(
            f"after: the log does not reach back to '{after}' any more, so some predictions are lost to this reader; "
            'subscribe without `after` for what comes now, or with after: "0-0" for all that is kept'
        )
        self.after = after


class LogOff(MeshError):
    """There is no log to read."""

    def __init__(self) -> None:
        super().__init__("ingest keeps no log of predictions: set INGEST_LOG_RECORDS to a number above 0")


_CODES: Final[tuple[tuple[type[MeshError], str], ...]] = (
    (InvalidInput, "BAD_USER_INPUT"),
    (NotFound, "NOT_FOUND"),
    (SlowReader, "SLOW_READER"),
    (LogTrimmed, "LOG_TRIMMED"),
    (LogOff, "LOG_OFF"),
    (Unavailable, "UNAVAILABLE"),
)


def graphql_error(error: MeshError) -> GraphQLError:
    """The error as clients get it."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "INTERNAL")
    extensions: dict[str, Any] = {"code": code}
    after = getattr(error, "after", None)
    if after is not None:
        extensions["after"] = after
    if isinstance(error, Unavailable):
        extensions["retryAfterS"] = error.retry_after_s
    return GraphQLError(str(error), extensions=extensions)


def document_error(message: str, code: str) -> Mapping[str, Any]:
    """An error as JSON, for what is refused before GraphQL sees it."""
    return {"message": message, "extensions": {"code": code}}
