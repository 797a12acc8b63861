"""Alerts as people read them: a table, or a line each. Pure."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from mesh.cli.alert_client import ShownAlert

_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


def alert_table(alerts: Sequence[ShownAlert]) -> Table:
    """One row an alert, in their order."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for name in ("opened", "severity", "state", "alert", "rows"):
        table.add_column(name, no_wrap=True)
    table.add_column("summary")
    table.add_column("id", no_wrap=True)
    for alert in alerts:
        severity = Text(alert.severity, _STYLES.get(alert.severity, ""))
        table.add_row(
            _time(alert), severity, _state(alert), alert.rule, str(alert.count), Text(alert.summary), alert.id
        )
    return table


def alert_line(alert: ShownAlert) -> str:
    """`2026-01-02 03:04:05  critical  open  hot  12 rows  pump-7 is hot  (1fc74e8f1a678dd95d22)`."""
    rows = f"{alert.count} row{'s' * (alert.count != 1)}"
    parts = (_time(alert), alert.severity, _state(alert), alert.rule, rows, alert.summary, f"({alert.id})")
    return "  ".join(part.replace("\n", " ") for part in parts)


def _time(alert: ShownAlert) -> str:
    return f"{alert.opened_at:%Y-%m-%d %H:%M:%S}"


def _state(alert: ShownAlert) -> str:
    """The state and, where there is one, who brought it about."""
    mark = {"acknowledged": alert.acknowledged, "resolved": alert.resolved}.get(alert.state)
    return alert.state if mark is None else f"{alert.state} by {mark.actor}"
