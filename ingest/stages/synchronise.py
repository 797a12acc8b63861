"""Readings of any rate and order onto one grid per asset. See `mesh.signals.synchronise` for how."""

from mesh.signals.sensors import Readings, Telemetry
from mesh.signals.synchronise import Synchronised, Synchroniser


class Synchronise:
    """Holds, for each asset, what is not closed yet and what its sensors said last."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._synchroniser = Synchroniser(telemetry.sensors, telemetry.grid)
        self.states = (self._synchroniser.state,)

    def step(self, readings: Readings) -> Synchronised:
        """The steps that these readings closed, and which of them came too late."""
        return self._synchroniser.step(readings)
