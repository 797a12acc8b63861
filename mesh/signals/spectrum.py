"""Where the power of a window lies: centroid, entropy and four bands, an octave each.

Powers are those of the discrete Fourier transform of the centred window without a taper, as TSFEL takes them; frequencies are
shares of the grid's own rate, so 0.5 is the highest.
"""

from functools import lru_cache
from typing import Final

import numpy as np

BANDS: Final = ((0.0, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))
"""Half-open bands of frequency, the last with its upper end; the constant part belongs to none."""
_TINY: Final = 1e-20


def spectral(centred: np.ndarray) -> dict[str, np.ndarray]:
    """Features of centred windows [M, S, W], each float64 [M, S]; all 0 where nothing moves.

    `spectral_centroid` is the mean frequency by power, `spectral_entropy` that of the powers over log(number of them), 0 for a
    pure tone and 1 for white noise; `band_n` is the share of the power in that octave.
    """
    window = centred.shape[-1]
    transformed = np.fft.rfft(centred)[..., 1:]
    power = np.square(transformed.real) + np.square(transformed.imag)
    total = power.sum(axis=-1)
    moves = total > _TINY
    share = power / np.where(moves, total, 1.0)[..., None]
    weights = _weights(window)
    summed = share @ weights
    logarithms = np.log(np.maximum(share, _TINY))
    entropy = -np.einsum("msf,msf->ms", share, logarithms) / np.log(share.shape[-1])
    named = {"spectral_centroid": summed[..., 0], "spectral_entropy": np.where(moves, entropy, 0.0)}
    return named | {f"band_{n + 1}": summed[..., n + 1] for n in range(len(BANDS))}


@lru_cache(maxsize=16)
def _weights(window: int) -> np.ndarray:
    """Columns [frequencies, 5] that sum shares of power: the frequency itself, then each band."""
    frequency = np.fft.rfftfreq(window)[1:]
    inside = [(low <= frequency) & ((frequency < high) | (high == BANDS[-1][1])) for low, high in BANDS]
    return np.stack([frequency, *inside], axis=-1)
