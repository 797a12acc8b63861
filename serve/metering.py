"""What the router's edges tell, as metrics."""

from typing import Final

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from serve.oip.ports import EdgeProtocol

_GOOD: Final = frozenset({"200", "OK"})


class RequestMetering:
    """The edges' observer that records; runs on the router's loop, with a recorder of that thread."""

    def __init__(self, recorder: Recorder) -> None:
        """Every number goes to `recorder`."""
        self._recorder = recorder

    def requested(self, endpoint: str, protocol: EdgeProtocol, code: str, rows: int, seconds: float) -> None:
        """One request by endpoint, code and protocol, and the three series that dashboards rely on."""
        del rows  # counted by the engine, per model and route
        recorder = self._recorder
        recorder.count(names.REQUESTS, 1, (endpoint, code, protocol))
        recorder.observe(names.REQUEST_SECONDS, seconds, (endpoint, protocol))
        if code in _GOOD:
            recorder.count(names.INFERENCE_PREDICTIONS, 1, (endpoint,))
            recorder.observe(names.INFERENCE_SECONDS, seconds, (endpoint,))
        else:
            recorder.count(names.INFERENCE_ERRORS, 1, (endpoint,))
