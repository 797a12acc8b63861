"""What changes and refusals tell, as metrics."""

from mesh.records.entry import Entry, Head
from mesh.records.heads import short_number
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


class AccessMetering:
    """A `HeadObserver`, and more; runs on the event loop of its recorder. `process` names this one among several."""

    def __init__(self, recorder: Recorder, process: str) -> None:
        self._recorder, self._process = recorder, (process,)

    def written(self, entry: Entry) -> None:
        """An entry was added by this process."""
        self._recorder.count(names.AUDIT_WRITTEN, 1, (entry.action.partition(".")[0],))

    def seen(self, head: Head) -> None:
        """As `HeadObserver.seen`."""
        self._recorder.set(names.AUDIT_LENGTH, head.seq, self._process)
        self._recorder.set(names.AUDIT_HEAD, short_number(head.hash), self._process)

    def published(self, *, sent: bool) -> None:
        """As `HeadObserver.published`."""
        self._recorder.count(names.AUDIT_PUBLISHED, 1, ("sent" if sent else "failed",))

    def answered(self, status: int) -> None:
        """A call was answered with this HTTP status."""
        if status in (401, 403):
            reason = "unauthenticated" if status == 401 else "forbidden"
            self._recorder.count(names.ACCESS_REFUSED, 1, (reason,))
