"""By which rules and models does the mesh answer now, who said so, and what was there before?

A change is proposed, checked whole, kept, and then taken by every engine. No Ray here: `mesh.cluster` carries it.
"""

from mesh.rules.ports import Audit, Hosting, NoAudit, RuleBook, RulesReader, RulesStore
from mesh.rules.values import Accepted, Kept, Problem, Proposal, Refused, Revision, RulesState

__all__ = [
    "Accepted",
    "Audit",
    "Hosting",
    "Kept",
    "NoAudit",
    "Problem",
    "Proposal",
    "Refused",
    "Revision",
    "RuleBook",
    "RulesReader",
    "RulesState",
    "RulesStore",
]
