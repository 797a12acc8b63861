"""Everything that the console can change, in one table: the call, the role it takes, the entry that it leaves in the log."""

from dataclasses import dataclass
from typing import Final

ROLES: Final = ("viewer", "analyst", "operator", "admin")
"""Each may do all that the one before it may."""


@dataclass(frozen=True, slots=True)
class Action:
    """A POST to `path`, whose `{}` is the id of what it acts on, by somebody with `role` or more.

    `audit` is the name in the audit log; an ending * stands for what was chosen. `patience_s` is how long the answer may take.
    """

    path: str
    role: str
    audit: str
    patience_s: float = 10.0


NEXT: Final = Action("/review/next", "analyst", "review.lease")
LEASE: Final = Action("/review/items/{}/lease", "analyst", "review.lease")
RELEASE: Final = Action("/review/items/{}/release", "analyst", "review.release")
DECIDE: Final = Action("/review/items/{}/decide", "analyst", "review.*")
UNDO: Final = Action("/review/items/{}/undo", "analyst", "review.undo")
BULK: Final = Action("/review/bulk", "analyst", "review.bulk")
UNDO_BULK: Final = Action("/review/bulk/{}/undo", "analyst", "review.undo_bulk")
ACKNOWLEDGE: Final = Action("/alerts/{}/ack", "analyst", "alerts.acknowledge")
RESOLVE: Final = Action("/alerts/{}/resolve", "analyst", "alerts.resolve")
START: Final = Action("/rollouts", "operator", "rollouts.start", patience_s=200.0)
"""It answers once the candidate serves."""
PAUSE: Final = Action("/rollouts/{}/pause", "operator", "rollouts.pause")
RESUME: Final = Action("/rollouts/{}/resume", "operator", "rollouts.resume")
APPROVE: Final = Action("/rollouts/{}/approve", "analyst", "rollouts.approve")
ABORT: Final = Action("/rollouts/{}/abort", "operator", "rollouts.abort")

ACTIONS: Final = (
    NEXT, LEASE, RELEASE, DECIDE, UNDO, BULK, UNDO_BULK, ACKNOWLEDGE, RESOLVE, START, PAUSE, RESUME, APPROVE, ABORT,
)  # fmt: skip


def allowed(role: str | None, action: Action) -> bool:
    """Whether to offer it; the API decides for itself."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(action.role)
