"""What people say of each model's answers while two of them answer side by side, as counts that a reader adds up.

An undo takes back what was counted, so a count may be negative: added to those before it, it leaves what stands.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from mesh.records.database import Database
from mesh.review.tables import DecisionRow, ItemRow

_JUDGING: Final = ("confirm", "override")


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one model's answers. `overridden` of `decided` were by people who saw the prediction.

    `false_alerts` of `healthy` are judgements of the random audit that say "normal": those whose row was flagged all the same.
    Alerts are not among them: people see every alert and few other rows, so of those nearly all that is healthy was flagged.
    """

    overridden: int = 0
    decided: int = 0
    false_alerts: int = 0
    healthy: int = 0


class HeardDecisions:
    """Reads decisions. Blocks: call it from a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def between(self, models: Collection[str], since: int, after: int, until: int) -> Mapping[str, Heard]:
        """What was decided, and undone, in after < time ≤ until on items that are no older than `since`; by model.

        Times are epoch milliseconds. A model that nobody said anything of is left out. Raises `StoreAway`.
        """
        found: dict[str, Heard] = {}
        with self._database.read() as session:
            for sign, row in _events(session, models, since, after, until):
                found[row.model] = _plus(found.get(row.model, Heard()), sign, row)
        return found


def _events(session: Session, models: Collection[str], since: int, after: int, until: int) -> Any:
    undo = aliased(DecisionRow)
    made = (
        select(DecisionRow.model, DecisionRow.action, DecisionRow.after, DecisionRow.blind, ItemRow.source, ItemRow.flagged)
        .join(ItemRow, ItemRow.id == DecisionRow.item)
        .where(DecisionRow.action.in_(_JUDGING), DecisionRow.model.in_(models), ItemRow.created_at >= since)
    )  # fmt: skip
    undone = made.join(undo, undo.undo_of == DecisionRow.id).where(undo.at > after, undo.at <= until)
    for row in session.execute(made.where(DecisionRow.at > after, DecisionRow.at <= until)):
        yield 1, row
    for row in session.execute(undone):
        yield -1, row


def _plus(heard: Heard, sign: int, row: Any) -> Heard:
    healthy = row.source == "audit" and row.after == "normal"
    return Heard(
        heard.overridden + sign * (not row.blind and row.action == "override"),
        heard.decided + sign * (not row.blind),
        heard.false_alerts + sign * (healthy and row.flagged),
        heard.healthy + sign * healthy,
    )
