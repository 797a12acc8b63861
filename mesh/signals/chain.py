"""From readings to features in one piece: synchronise, denoise, cut windows, extract. Stream, training and evaluation run it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from mesh.signals.assets import Assets
from mesh.signals.denoise import Denoise
from mesh.signals.features import FeatureExtractor
from mesh.signals.sensors import Readings, Telemetry
from mesh.signals.slots import SlotArrays
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
        self.assets = Assets(telemetry.max_assets)
        self._names: dict[int, str] = {}
        self._synchroniser = Synchroniser(sensors, grid)
        self._denoise = Denoise(sensors)
        self._cutter = WindowCutter(len(sensors), grid)
        self._extractor = FeatureExtractor([sensor.group for sensor in sensors], telemetry.features)
        self._states: tuple[SlotArrays, ...] = (
            self._synchroniser.state,
            *self._denoise.states,
            self._cutter.state,
        )

    def take(self, assets: Sequence[str], time: np.ndarray, values: np.ndarray) -> Featured:
        """Records in their order of arrival: N names, int64 [N] milliseconds since 1970, float64 [N, S] with NaN for missing."""
        slots, forgotten = self._seat(assets)
        synchronised = self._synchroniser.step(Readings(slots, time, values))
        windows = self._cutter.cut(self._denoise.apply(synchronised.steps))
        return Featured(
            [self._names[slot] for slot in windows.slot.tolist()],
            windows.time,
            self._extractor.extract(windows.values),
            windows.cause,
            synchronised.late,
            tuple(self._names[slot] for slot in synchronised.restarted.tolist()),
            forgotten,
        )

    @property
    def digest(self) -> str:
        """Names the layout of an asset's state; states of another cannot be loaded."""
        return blake2b("".join(state.digest for state in self._states).encode(), digest_size=8).hexdigest()

    def dump(self, assets: Sequence[str]) -> dict[str, bytes]:
        """The state of those of these assets that are remembered."""
        found = {name: slot for name in assets if (slot := self.assets.slot_of(name)) is not None}
        slots = np.fromiter(found.values(), np.int64, len(found))
        parts = [state.dump(slots) for state in self._states]
        return {name: b"".join(rows) for name, rows in zip(found, zip(*parts, strict=True), strict=True)}

    def load(self, states: Mapping[str, bytes]) -> None:
        """Put dumped states in place of what is known of these assets.

        Raises:
            ValueError: bytes of another layout.
        """
        slots, _ = self._seat(list(states))
        expected = sum(state.row_bytes for state in self._states)
        for slot, row in zip(slots.tolist(), states.values(), strict=True):
            if len(row) != expected:
                raise ValueError(
                    f"the state of an asset has {expected} bytes, got {len(row)}: another layout?"
                )
            at = 0
            for state in self._states:
                state.load([slot], [row[at : at + state.row_bytes]])
                at += state.row_bytes

    def forget(self, assets: Sequence[str]) -> None:
        """Forget everything about these assets."""
        self._clear(self.assets.forget(assets))

    def _seat(self, assets: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        seated = self.assets.seat(assets)
        for state in self._states:
            state.reserve(self.assets.capacity)
        self._clear(seated.cleared)
        self._names.update(zip(seated.slot.tolist(), assets, strict=True))
        return seated.slot, seated.forgotten

    def _clear(self, slots: np.ndarray) -> None:
        for state in self._states:
            state.clear(slots)
