"""Adaptive sampling of rows that are played back: one is sent where it says something new, and at least once in a heartbeat."""

from collections.abc import Sequence

import numpy as np

from mesh.signals.asset_states import AssetStates
from mesh.signals.sampling import DeltaSampler
from mesh.signals.sensors import Readings, Sensor, Telemetry


class RowGate:
    """Lets rows through. A column that is named as a sensor is one; any other is sent with each change of it.

    A row goes whole, because its features do: one column that says something new is enough.
    """

    def __init__(self, telemetry: Telemetry, columns: Sequence[str]) -> None:
        known = {sensor.name: sensor for sensor in telemetry.sensors}
        beat = telemetry.sampling.heartbeat_ms
        # Of what is no sensor nothing is declared: the least number above 0 makes every change one to be sent.
        tiny = float(np.finfo(np.float64).tiny)
        sensors = tuple(
            known.get(name) or Sensor(name, period_ms=1, tolerance_ms=beat, delta=tiny) for name in columns
        )
        self._sampler = DeltaSampler(sensors, telemetry.sampling)
        self._states = AssetStates(telemetry.max_assets, [self._sampler.state])
        self.read = self.sent = 0

    def passes(self, key: bytes | None, time_s: float, values: Sequence[float]) -> bool:
        """Whether the row of this key (its machine) is sent; `time_s` is seconds since 1970."""
        slot, _ = self._states.seat([(key or b"").decode(errors="replace")])
        readings = Readings(slot, np.array([round(time_s * 1e3)], np.int64), np.array([values], np.float64))
        passes = bool(self._sampler.step(readings).any())
        self.read += 1
        self.sent += passes
        return passes

    @property
    def kept(self) -> float:
        """The share of rows that was sent; 1 where there were none."""
        return self.sent / self.read if self.read else 1.0
