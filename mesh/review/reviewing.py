"""All parts of reviewing over one database, put together in one place."""

from dataclasses import dataclass

from mesh.alerts import Budget
from mesh.records.database import Database
from mesh.review.cases import Cases
from mesh.review.decisions import Decisions
from mesh.review.facts import FactReader
from mesh.review.intake import Intake
from mesh.review.labels import DatabaseLabels
from mesh.review.queue import Queue
from mesh.review.rules import Draw, QueueRules, chance
from mesh.review.view import QueueView


@dataclass(frozen=True, slots=True)
class Reviewing:
    """The parts, with the rules and the budget that they share."""

    rules: QueueRules
    budget: Budget
    intake: Intake
    view: QueueView
    queue: Queue
    decisions: Decisions
    cases: Cases
    facts: FactReader
    labels: DatabaseLabels


def reviewing(
    database: Database,
    rules: QueueRules | None = None,
    budget: Budget | None = None,
    draw: Draw = chance,
) -> Reviewing:
    """The parts over `database`; `budget` is the alerts' own."""
    rules, budget = rules or QueueRules(), budget or Budget()
    return Reviewing(
        rules,
        budget,
        Intake(rules),
        QueueView(database, rules),
        Queue(rules, draw),
        Decisions(rules),
        Cases(database),
        FactReader(database, budget),
        DatabaseLabels(database),
    )
