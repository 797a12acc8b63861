"""What routes say of their refusals in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Final

Responses = dict[int | str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ApiError:
    """The body of every error."""

    error: str


BAD: Final[Responses] = {
    400: {"model": ApiError, "description": "A parameter is wrong; the message names it"}
}


def away(what: str) -> Responses:
    """The 503 of a store that does not answer."""
    return {503: {"model": ApiError, "description": f"{what} does not answer; see Retry-After"}}


def missing(what: str) -> Responses:
    """The 404 of a thing that is not there."""
    return {404: {"model": ApiError, "description": f"No such {what}"}}
