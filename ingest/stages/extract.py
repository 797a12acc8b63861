"""Windows over the grid, and the features of each. See `mesh.signals.windows` and `mesh.signals.features`."""

from ingest.stages.rows import Rows
from mesh.signals.features import FeatureExtractor
from mesh.signals.sensors import Steps, Telemetry
from mesh.signals.windows import WindowCutter


class Extract:
    """Holds the last steps of each asset."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._cutter = WindowCutter(len(telemetry.sensors), telemetry.grid)
        self._extractor = FeatureExtractor([sensor.group for sensor in telemetry.sensors], telemetry.features)
        self.states = (self._cutter.state,)

    def step(self, steps: Steps) -> Rows:
        """A row for each window that ends at one of these steps; the assets' names are not known here."""
        windows = self._cutter.cut(steps)
        features = self._extractor.extract(windows.values)
        return Rows(windows.slot, (), windows.time, windows.cause, features)
