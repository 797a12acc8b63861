"""From readings to features in one piece: synchronise, denoise, cut windows, extract. Stream, training and evaluation run it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mesh.signals.asset_states import AssetStates
from mesh.signals.denoise import Denoise
from mesh.signals.features import FeatureExtractor
from mesh.signals.sensors import Readings, Telemetry
from mesh.signals.synchronise import Synchroniser
from mesh.signals.windows import WindowCutter


@dataclass(frozen=True, slots=True)
class Featured:
    """What a batch of N records gave: M windows, by asset and time.

    `assets` are the windows' names, `time` int64 [M] their last steps, `features` float64 [M, S, F], `cause` int64 [M] the
    record that closed each. `late` int64 are records that came too late, `restarted` assets whose clock was set back,
    `forgotten` assets that made room for others.
    """

    assets: Sequence[str]
    time: np.ndarray
    features: np.ndarray
    cause: np.ndarray
    late: np.ndarray
    restarted: tuple[str, ...]
    forgotten: tuple[str, ...]


class SignalChain:
    """The state of many assets on their way from readings to features."""

    def __init__(self, telemetry: Telemetry) -> None:
        sensors, grid = telemetry.sensors, telemetry.grid
        self._synchroniser = Synchroniser(sensors, grid)
        self._denoise = Denoise(sensors)
        self._cutter = WindowCutter(len(sensors), grid)
        self._extractor = FeatureExtractor([sensor.group for sensor in sensors], telemetry.features)
        states = (self._synchroniser.state, *self._denoise.states, self._cutter.state)
        self.assets = AssetStates(telemetry.max_assets, states)

    def take(self, assets: Sequence[str], time: np.ndarray, values: np.ndarray) -> Featured:
        """Records in their order of arrival: N names, int64 [N] milliseconds since 1970, float64 [N, S] with NaN for missing."""
        slots, forgotten = self.assets.seat(assets)
        synchronised = self._synchroniser.step(Readings(slots, time, values))
        windows = self._cutter.cut(self._denoise.apply(synchronised.steps))
        return Featured(
            self.assets.names_of(windows.slot),
            windows.time,
            self._extractor.extract(windows.values),
            windows.cause,
            synchronised.late,
            tuple(self.assets.names_of(synchronised.restarted)),
            forgotten,
        )

    @property
    def digest(self) -> str:
        """Names the layout of an asset's state; states of another cannot be loaded."""
        return self.assets.digest

    def dump(self, assets: Sequence[str]) -> dict[str, bytes]:
        """The state of those of these assets that are remembered."""
        return self.assets.dump(assets)

    def load(self, states: Mapping[str, bytes]) -> None:
        """Put dumped states in place of what is known of these assets. Raises `ValueError` for another layout."""
        self.assets.load(states)

    def forget(self, assets: Sequence[str]) -> None:
        """Forget everything about these assets."""
        self.assets.forget(assets)
