"""Windows of telemetry to learn from and to measure on: their features, whose they are, when something was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.signals.chain import SignalChain
from mesh.signals.features import feature_names
from mesh.signals.sensors import Telemetry
from mesh.stores.views import digest_of

READINGS_AT_ONCE: Final = 20_000
"""Windows overlap: uncut, those of so many readings of 16 sensors are about 20 MB before features are taken."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a row are: S sensors with F features each, and the time that a window covers."""

    sensors: tuple[str, ...]
    features: tuple[str, ...]
    window_ms: int
    hop_ms: int

    @classmethod
    def of(cls, telemetry: Telemetry) -> "Layout":
        """The windows that this telemetry is cut into."""
        grid = telemetry.grid
        sensors = tuple(sensor.name for sensor in telemetry.sensors)
        return cls(sensors, telemetry.features, grid.window * grid.period_ms, grid.hop * grid.period_ms)

    @property
    def names(self) -> tuple[str, ...]:
        """The S·F columns, `sensor.feature`."""
        return feature_names(self.sensors, self.features)

    @property
    def digest(self) -> str:
        """Names the columns in their order, as feature records do."""
        return digest_of(self.names)


@dataclass(frozen=True, slots=True)
class Episode:
    """Something of this `kind` was wrong with the asset at place `asset`, from `from_ms` until before `to_ms`."""

    kind: str
    asset: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class WindowSet:
    """M windows of the assets `assets`, ordered by asset and time.

    `asset` int64 [M] is the place of its name, `time` int64 [M] milliseconds of the last step, `values` float32 [M, S, F] as
    a model is sent them, `healthy` bool [M] whether nothing was wrong. Windows that are neither healthy nor in an episode are
    not judged.
    """

    layout: Layout
    assets: tuple[str, ...]
    asset: np.ndarray
    time: np.ndarray
    values: np.ndarray
    healthy: np.ndarray
    episodes: tuple[Episode, ...] = ()

    def __len__(self) -> int:
        return len(self.asset)

    @property
    def flat(self) -> np.ndarray:
        """The values as rows of the model's input: float32 [M, S·F]."""
        return self.values.reshape(len(self), -1)

    def take(self, rows: np.ndarray) -> "WindowSet":
        """These windows (places, or a mask), with all episodes."""
        return WindowSet(
            self.layout,
            self.assets,
            self.asset[rows],
            self.time[rows],
            self.values[rows],
            self.healthy[rows],
            self.episodes,
        )

    def of_assets(self, places: np.ndarray) -> "WindowSet":
        """The windows and episodes of the assets at these places."""
        kept = set(places.tolist())
        some = self.take(np.isin(self.asset, places))
        episodes = tuple(one for one in self.episodes if one.asset in kept)
        return WindowSet(some.layout, some.assets, some.asset, some.time, some.values, some.healthy, episodes)


class WindowCollector:
    """Runs readings through the signal chain, as the stream does, and keeps the windows."""

    def __init__(self, telemetry: Telemetry, assets: Sequence[str]) -> None:
        self._telemetry, self._assets = telemetry, tuple(assets)
        self._chain = SignalChain(telemetry)
        self._place = {name: at for at, name in enumerate(assets)}
        self._low = np.array([sensor.low for sensor in telemetry.sensors])
        self._high = np.array([sensor.high for sensor in telemetry.sensors])
        self._asset: list[np.ndarray] = []
        self._time: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def add(self, asset: np.ndarray, time_ms: np.ndarray, values: np.ndarray) -> None:
        """N readings in order of arrival: places int64 [N], times int64 [N], float64 [N, S] with NaN for missing.

        What lies outside a sensor's range is taken for missing, as decoding does.
        """
        for begin in range(0, len(asset), READINGS_AT_ONCE):
            some = slice(begin, begin + READINGS_AT_ONCE)
            self._take(asset[some], time_ms[some], values[some])

    def _take(self, asset: np.ndarray, time_ms: np.ndarray, values: np.ndarray) -> None:
        possible = (values >= self._low) & (values <= self._high)
        names = [self._assets[place] for place in asset.tolist()]
        found = self._chain.take(names, time_ms, np.where(possible, values, np.nan))
        self._asset.append(np.array([self._place[name] for name in found.assets], np.int64))
        self._time.append(found.time)
        self._values.append(found.features.astype(np.float32))

    def windows(self, episodes: Sequence[Episode] = ()) -> WindowSet:
        """Everything so far. A window is healthy where no episode of its asset touches it or ended a window ago."""
        layout = Layout.of(self._telemetry)
        shape = (0, len(layout.sensors), len(layout.features))
        asset = np.concatenate([np.empty(0, np.int64), *self._asset])
        time = np.concatenate([np.empty(0, np.int64), *self._time])
        values = np.concatenate([np.empty(shape, np.float32), *self._values])
        order = np.lexsort((time, asset))
        asset, time = asset[order], time[order]
        healthy = np.ones(len(asset), np.bool_)
        for one in episodes:
            healthy &= ~touched(one, asset, time, layout.window_ms)
        return WindowSet(layout, self._assets, asset, time, values[order], healthy, tuple(episodes))


def touched(episode: Episode, asset: np.ndarray, time: np.ndarray, window_ms: int) -> np.ndarray:
    """Bool [M]: the windows that hold a part of the episode: those that end in it or up to one window after it."""
    found: np.ndarray = (
        (asset == episode.asset) & (time >= episode.from_ms) & (time < episode.to_ms + window_ms)
    )
    return found
