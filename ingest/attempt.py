"""What one attempt to have records answered leaves over, and what to try next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.record import Group


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt left over: records to try again, and how long to wait first.

    `raised` counts records that a model raised on; `late` says that time ran out before any record was done.
    """

    left: Group | None = None
    raised: int = 0
    retry_after_s: float = 0.0
    reason: str = ""
    late: bool = False

    @property
    def following(self) -> list[Group]:
        """What to try next: what was late as a whole in halves, as it may be more than the model does in the time that it has."""
        if self.left is None:
            return []
        n = len(self.left)
        if not self.late or n < 2:
            return [self.left]
        return [self.left.take(range(n // 2)), self.left.take(range(n // 2, n))]


def of_parts(group: Group, parts: Sequence[Attempt]) -> Attempt:
    """One attempt, of the attempts at parts of its group."""
    again = {position for part in parts if part.left is not None for position in part.left.positions}
    if not again:
        return Attempt()
    return Attempt(
        group.take([i for i, at in enumerate(group.positions) if at in again]),
        sum(part.raised for part in parts),
        max(part.retry_after_s for part in parts),
        next((part.reason for part in parts if part.reason), ""),
        len(again) == len(group) and any(part.late for part in parts),
    )
