"""What an engine's answer means for each record of a batch: answered, to be tried again, or given up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.record import RecordBatch
from mesh.routing.types import Answer, RowFailure


@dataclass(frozen=True, slots=True)
class Settled:
    """Places in the group. `answered` None means all of them.

    `again` failed for a passing reason, `raised` maps a record to the model's own error on one of its rows. `late` says that time
    ran out for some.
    """

    answered: Sequence[int] | None
    again: Sequence[int]
    raised: dict[int, RowFailure]
    retry_after_s: float
    reason: str
    late: bool = False


def settle(records: RecordBatch, answer: Answer) -> Settled:
    """A record is answered if all of its rows are; a row that raised outweighs rows that failed in passing."""
    if not answer.failed:
        return Settled(None, (), {}, 0.0, "")
    again: dict[int, RowFailure] = {}
    raised: dict[int, RowFailure] = {}
    for row, failure in answer.failed.items():
        place = records.record_of_row(row)
        (raised if failure.kind == "raised" else again).setdefault(place, failure)
    again = {place: failure for place, failure in again.items() if place not in raised}
    answered = [i for i in range(len(records.group)) if i not in again and i not in raised]
    reason = next((f"{failure.model}: {failure.kind}: {failure.reason}" for failure in again.values()), "")
    waits = [failure.retry_after_s or 0.0 for failure in again.values()]
    late = any(failure.kind == "deadline" for failure in again.values())
    return Settled(answered, sorted(again), raised, max(waits, default=0.0), reason, late)


def error_of(failure: RowFailure) -> tuple[str, str]:
    """The error's class and message out of `ErrorClass: message`."""
    name, colon, message = failure.reason.partition(": ")
    return (
        (name, message) if colon and name.replace(".", "").isidentifier() else ("ModelError", failure.reason)
    )
