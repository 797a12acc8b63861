"""Causal wavelet shrinkage: the last values of a sensor are transformed, small coefficients shrunk, and one value kept.

Soft universal threshold with the noise's size from the finest coefficients (Donoho and Johnstone, "Ideal spatial adaptation by
wavelet shrinkage", Biometrika 81, 1994). A transform of a whole series would know the future; this one sees the trailing
`length` steps only, and gives the value `delay` steps before the last: 0 is prompt and rougher, since the edge of a transform is
its weakest place.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pywt

from mesh.signals.kalman import rounds
from mesh.signals.slots import Column, SlotArrays

_MAD_OF_NOISE: Final = 0.6745
"""The median of |x| for normal noise of standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """`length` and `delay` in steps; `wavelet` as PyWavelets names it; `levels` of the transform."""

    length: int = 32
    delay: int = 0
    wavelet: str = "sym4"
    levels: int = 2


class WaveletFilter:
    """Shrinks the columns it is given; state per asset is `length` - 1 numbers a sensor."""

    def __init__(self, sensors: int, shrinkage: Shrinkage | None = None, capacity: int = 16) -> None:
        self._how = shrinkage or Shrinkage()
        self.state = SlotArrays(
            {
                "history": Column(np.float64, (sensors, self._how.length - 1), np.nan),
                "time": Column(np.int64, (), -1),
            },
            capacity,
        )

    def filter(self, slot: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The shrunk value of every step: float64 [K, S], sorted as the steps are: by slot, by time within each.

        A missing value stands for the one before it; the output is NaN where the input is, and the input as it is
        until `length` values have come.
        """
        cleaned = np.empty_like(values)
        for rows in rounds(slot):
            cleaned[rows] = self._advance(slot[rows], time[rows], values[rows])
        return cleaned

    def _advance(self, slot: np.ndarray, time: np.ndarray, z: np.ndarray) -> np.ndarray:
        state = self.state
        history = state["history"][slot]
        history[time <= state["time"][slot]] = np.nan
        trailing = np.concatenate([history, np.where(np.isnan(z), history[..., -1], z)[..., None]], axis=-1)
        state["history"][slot] = trailing[..., 1:]
        state["time"][slot] = time
        ready = np.isfinite(trailing).all(axis=-1)
        cleaned = trailing[..., -1 - self._how.delay].copy()
        cleaned[ready] = shrink(trailing[ready], self._how)[:, -1 - self._how.delay]
        return np.where(np.isnan(z), np.nan, cleaned)


def shrink(windows: np.ndarray, how: Shrinkage) -> np.ndarray:
    """Windows [n, length] with small wavelet coefficients shrunk: float64 [n, length]."""
    if not len(windows):
        return windows
    approximation, *details = pywt.wavedec(windows, how.wavelet, mode="symmetric", level=how.levels)
    sigma = np.median(np.abs(details[-1]), axis=-1, keepdims=True) / _MAD_OF_NOISE
    threshold = sigma * np.sqrt(2 * np.log(windows.shape[-1]))
    shrunk = [np.sign(c) * np.maximum(np.abs(c) - threshold, 0.0) for c in details]
    return np.asarray(
        pywt.waverec([approximation, *shrunk], how.wavelet, mode="symmetric")[..., : windows.shape[-1]]
    )
