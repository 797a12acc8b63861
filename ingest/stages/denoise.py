"""Each sensor's values through the filters that it declares. See `mesh.signals.kalman` and `mesh.signals.wavelet`."""

from mesh.signals.denoise import Denoise as Filters
from mesh.signals.sensors import Steps, Telemetry


class Denoise:
    """Holds the filters' state of each asset."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._filters = Filters(telemetry.sensors)
        self.states = self._filters.states

    def step(self, steps: Steps) -> Steps:
        """The same steps with filtered values."""
        return self._filters.apply(steps)
