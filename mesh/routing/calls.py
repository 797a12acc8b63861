"""The model calls that an answer rests on, as whoever traces wants them: noted once for all rows that were asked together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


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


class CallRound(Protocol):
    """Calls that were made together. What is told of them is put together only when somebody asks: few answers are traced."""

    def parts(self) -> Sequence[CallPart]:
        """The calls, in the order in which they were made."""
        ...


class CohortCalls:
    """The calls that were made for a cohort, shared by the answers of all its callers.

    `troubled`: some row failed or is degraded, which callers need not look for in their own rows where it is False.
    """

    __slots__ = ("rounds", "troubled")

    def __init__(self) -> None:
        self.rounds: list[CallRound] = []
        self.troubled = False

    @property
    def calls(self) -> list[CallPart]:
        """All of them, in the order in which they were made."""
        return [part for one in self.rounds for part in one.parts()]


CallShare = tuple[CohortCalls, int, int]
"""A cohort's calls, and which of its rows an answer has: from the first place up to the second."""


def calls_of(share: CallShare) -> list[CallPart]:
    """The calls of a cohort that concern these rows."""
    cohort, start, stop = share
    return [call for call in cohort.calls if call.rows is None or _touches(call.rows, start, stop)]


def _touches(rows: np.ndarray, start: int, stop: int) -> bool:
    at = int(np.searchsorted(rows, start))
    return at < len(rows) and int(rows[at]) < stop
