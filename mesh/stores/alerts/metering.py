"""What happens to alerts, as metrics."""

from mesh.alerts import Judged
from mesh.stores.alerts.written import Written
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


class AlertMetering:
    """Records what the stage judged and what the store made of it; belongs to one thread, as its recorder does."""

    def __init__(self, recorder: Recorder) -> None:
        """Every number goes to `recorder`."""
        self._recorder = recorder

    def judged(self, judged: Judged) -> None:
        """What never became an event. Rows that are read again count again."""
        for rule in judged.held_off:
            self._recorder.count(names.ALERTS_HELD_OFF, 1, (rule,))
        forgotten = judged.forgotten_keys + len(judged.forgotten_assets)
        if forgotten:
            self._recorder.count(names.ALERT_KEYS_FORGOTTEN, forgotten)

    def written(self, written: Written) -> None:
        """Alerts that opened, cleared or went into a digest, each once."""
        counted = (
            (names.ALERTS_OPENED, written.opened),
            (names.ALERTS_CLEARED, written.cleared),
            (names.ALERTS_DIGESTED, written.grouped),
        )
        for metric, events in counted:
            for event in events:
                self._recorder.count(metric, 1, (event.rule, event.severity))
        if written.digests:
            self._recorder.count(names.ALERT_DIGESTS, len(written.digests))

    def budget_left(self, alerts: int) -> None:
        """What `AlertWriter.budget_left` said last."""
        self._recorder.set(names.ALERT_BUDGET_LEFT, alerts)

    def budget_unknown(self) -> None:
        """Nobody here knows what is left any more."""
        self._recorder.unset(names.ALERT_BUDGET_LEFT)
