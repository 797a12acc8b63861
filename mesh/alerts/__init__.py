"""What should people look at? Rules over scored rows, a condition per rule and key, alerts and their states. Pure.

Everything follows from the rows and their times: the same rows give the same events with the same ids, whatever the size of
the batches and however often they come.
"""

from mesh.alerts.alert import Alert, Group, Mark
from mesh.alerts.events import AlertEvent, Place
from mesh.alerts.lifecycle import ACTIONS, STATES, Action, State
from mesh.alerts.rows import ScoredRows
from mesh.alerts.rules import Budget, Policy, Retention, Rule, Severity
from mesh.alerts.stage import ORIGIN, AlertStage, Judged

__all__ = [
    "ACTIONS",
    "ORIGIN",
    "STATES",
    "Action",
    "Alert",
    "AlertEvent",
    "AlertStage",
    "Budget",
    "Group",
    "Judged",
    "Mark",
    "Place",
    "Policy",
    "Retention",
    "Rule",
    "ScoredRows",
    "Severity",
    "State",
]
