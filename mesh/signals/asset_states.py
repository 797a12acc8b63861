"""The state of many assets: which row is whose, and every array that has a row for each."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from mesh.signals.assets import Assets
from mesh.signals.slots import SlotArrays


class AssetStates:
    """Seats assets in the rows of `states`; the state of an asset can be dumped, loaded and forgotten as one."""

    def __init__(self, limit: int, states: Sequence[SlotArrays]) -> None:
        """At most `limit` assets are remembered: past it, the longest silent makes room."""
        self._assets = Assets(limit)
        self._states = tuple(states)
        self._names: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._assets)

    @property
    def names(self) -> tuple[str, ...]:
        """Every asset that is remembered, the longest silent first."""
        return self._assets.names

    @property
    def digest(self) -> str:
        """Names the layout of an asset's state; states of another cannot be loaded."""
        return blake2b("".join(state.digest for state in self._states).encode(), digest_size=8).hexdigest()

    def seat(self, assets: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
        """The row of each asset, int64 [N], and the assets that were forgotten to make room."""
        seated = self._assets.seat(assets)
        for state in self._states:
            state.reserve(self._assets.capacity)
        self._clear(seated.cleared)
        self._names.update(zip(seated.slot.tolist(), assets, strict=True))
        return seated.slot, seated.forgotten

    def names_of(self, slot: np.ndarray) -> list[str]:
        """The assets of these rows."""
        return [self._names[each] for each in slot.tolist()]

    def dump(self, assets: Sequence[str]) -> dict[str, bytes]:
        """The state of those of these assets that are remembered."""
        found = {name: slot for name in assets if (slot := self._assets.slot_of(name)) is not None}
        slots = np.fromiter(found.values(), np.int64, len(found))
        parts = [state.dump(slots) for state in self._states]
        return {name: b"".join(rows) for name, rows in zip(found, zip(*parts, strict=True), strict=True)}

    def load(self, states: Mapping[str, bytes]) -> tuple[str, ...]:
        """Put dumped states in place of what is known of these assets; returns the assets that made room.

        Raises:
            ValueError: bytes of another layout.
        """
        expected = sum(state.row_bytes for state in self._states)
        for row in states.values():
            if len(row) != expected:
                raise ValueError(
                    f"the state of an asset has {expected} bytes, got {len(row)}: another layout?"
                )
        slots, forgotten = self.seat(list(states))
        for slot, row in zip(slots.tolist(), states.values(), strict=True):
            at = 0
            for state in self._states:
                state.load([slot], [row[at : at + state.row_bytes]])
                at += state.row_bytes
        return forgotten

    def forget(self, assets: Sequence[str]) -> None:
        """Forget everything about these assets."""
        self._clear(self._assets.forget(assets))

    def _clear(self, slots: np.ndarray) -> None:
        for state in self._states:
            state.clear(slots)
