"""Candidates as a test needs them, and a desk that commits each change with its entry, as the API does."""

from mesh.records.audit_log import AuditLog
from mesh.records.database import Database
from mesh.records.entry import Actor
from mesh.review.cases import Cases
from mesh.review.decisions import Decisions
from mesh.review.intake import Intake, item_id
from mesh.review.queue import Queue
from mesh.review.rules import QueueRules
from mesh.review.values import Candidate, Prediction, Said
from mesh.review.view import QueueView

NOW = 1_764_000_000_000
ANN = Actor("ann", "analyst", "http")
BEN = Actor("ben", "analyst", "http")
OLU = Actor("olu", "operator", "http")
VIC = Actor("vic", "viewer", "http")


def candidate(n: int, source="alert", **changed) -> Candidate:
    """The n-th candidate: an alert on a pump of its own, unless told otherwise."""
    given = {
        "source": source,
        "subject": f"{source}-{n}",
        "asset": f"pump-{n}",
        "row_time": NOW - 1_000 * n,
        "prediction": Prediction(True, 0.9, 0.8, 0.6, "anomaly", "3", "hybrid", "primary", "5f1c9a"),
        "severity": "warning",
        "alert": f"alert-{n}" if source == "alert" else "",
        "inclusion": 0.1 if source == "audit" else None,
    }
    return Candidate(**{**given, **changed})


def key(n: int, source="alert") -> str:
    """The id of the n-th candidate's item."""
    return item_id(candidate(n, source))


class Desk:
    """Everything of reviewing over one database; `now` is its clock."""

    def __init__(self, database: Database, rules: QueueRules | None = None, draw=lambda: 0.99) -> None:
        self.database, self.log = database, AuditLog(database)
        self.rules = rules or QueueRules()
        self.intake, self.view = Intake(self.rules), QueueView(database, self.rules)
        self.queue, self.decisions = Queue(self.rules, draw), Decisions(self.rules)
        self.cases = Cases(database)
        self.now = NOW

    def change(self, method, *words, **named):
        """One change and its entry in one transaction."""
        with self.database.write() as session:
            result, change = method(session, *words, **named)
            self.log.append(session, change)
        return result

    def add(self, *candidates: Candidate) -> int:
        with self.database.write() as session:
            return self.intake.add(session, candidates, self.now)

    def alerts(self, *times) -> None:
        with self.database.write() as session:
            self.intake.alerts(session, times)

    def next(self, person: Actor):
        return self.change(self.queue.next, person, self.now)

    def lease(self, item: str, person: Actor):
        return self.change(self.queue.lease, item, person, self.now)

    def decide(self, item: str, person: Actor, action="confirm", **said):
        return self.change(self.decisions.decide, item, person, Said(action, **said), {}, self.now)

    def take_and_decide(self, item: str, person: Actor, action="confirm", **said):
        """Lease, even an item of the audit, then decide."""
        with self.database.write() as session:
            self.queue._take(session, item, person, self.now)
        return self.decide(item, person, action, **said)

    def undo(self, item: str, person: Actor, **named):
        return self.change(self.decisions.undo, item, person, self.now, **named)

    def bulk(self, incident: str, person: Actor, action="confirm", **said):
        return self.change(self.decisions.bulk, incident, person, Said(action, **said), {}, self.now)

    def actions(self) -> list[str]:
        """What the audit log holds, oldest first."""
        return [entry.action for entry in self.log.entries()]
