"""Events as the alert stage makes them, with what a test does not care about filled in."""

from mesh.alerts import AlertEvent, Place
from mesh.alerts.events import alert_id

BEGAN = 1_764_000_000_000


def opened(n: int, severity="warning", rule="hot", asset=None, at=0, since=None) -> AlertEvent:
    """The n-th alert; it opened `at` milliseconds after the tests' beginning."""
    asset = asset or f"pump-{n}"
    place = Place("raw", n % 4, n)
    return AlertEvent(
        kind="opened",
        id=alert_id(rule, asset, place),
        rule=rule,
        severity=severity,
        asset=asset,
        key=asset,
        since=BEGAN + at if since is None else since,
        opened_at=BEGAN + at,
        at=BEGAN + at,
        count=1,
        summary=f"{asset} is hot",
        runbook="docs/alerts.md",
        values={"score": 0.9, "site": "north", "rul": None},
        first=place,
        record=place,
    )
