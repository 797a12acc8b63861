"""What is new among the newest alerts, from one look to the next. Pure."""

from collections.abc import Sequence

from mesh.cli.alert_client import ShownAlert, shown


class AlertWatch:
    """Remembers the page that it saw last, and no more."""

    def __init__(self) -> None:
        self._seen: dict[str, ShownAlert] | None = None

    def news(self, page: Sequence[bytes]) -> list[bytes]:
        """Of a page, newest first: the alerts that are new or changed, oldest first. At the first look, those not resolved."""
        now = {alert.id: (alert, document) for document in page for alert in (shown(document),)}
        before, self._seen = self._seen, {name: alert for name, (alert, _) in now.items()}
        if before is None:
            changed = [document for alert, document in now.values() if alert.state != "resolved"]
        else:
            changed = [document for name, (alert, document) in now.items() if before.get(name) != alert]
        return changed[::-1]
