"""Drift alarms as proposals: those of the stream from the alert store, those of the override rate from the labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mesh.alerts import Alert
from mesh.drift import DriftPolicy, DriftWatch
from mesh.learning.feedback.labels import AdjudicatedLabel
from mesh.learning.schedule import Proposal
from mesh.stores.alerts import AlertBook, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT

RULE: Final = "drift"
OVERRIDES: Final = "override"
_PAGES: Final = 10


async def alerted(book: AlertBook, since_ms: int) -> list[Proposal]:
    """Drift alerts that opened after this time, also those that a digest stands for; oldest first. Raises `StoreAway`."""
    found = []
    for rule in (RULE, "digest"):
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await book.page(AlertQuery(rule=rule, since=since_ms + 1, limit=MAX_LIMIT, cursor=cursor))
            found += [made for one in page.alerts for made in _proposals(one)]
            cursor = page.cursor
            if cursor is None:
                break
    return sorted(found, key=lambda one: one.at)


def overridden(labels: Sequence[AdjudicatedLabel], policy: DriftPolicy) -> list[Proposal]:
    """Where the share of alerts that people called normal changed. Labels in the order of their settling.

    The random audit is left out, and whatever the mesh had not flagged: windows without an alert say nothing of false ones.
    """
    judged = [one for one in labels if one.flagged and not one.audit]
    if not judged:
        return []
    values = np.array([one.verdict == "normal" for one in judged], np.float64)
    times = np.array([one.decided_ms for one in judged], np.int64)
    alarms = DriftWatch(policy).observe({OVERRIDES: values}, times)
    return [
        Proposal(one.stream, one.at, f"of alerts {one.now:.0%} are overridden, {one.before:.0%} before")
        for one in alarms
    ]


def _proposals(alert: Alert) -> list[Proposal]:
    opened = alert.opened
    if opened.rule == RULE:
        return [Proposal(opened.key, opened.opened_at, opened.summary)]
    return [
        Proposal(key, alert.last_at, f"{key} drifts, told in a digest")
        for group in alert.groups
        if group.rule == RULE
        for key in group.keys
    ]
