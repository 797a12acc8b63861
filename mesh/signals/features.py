"""About twenty numbers that describe a window of a sensor, for many windows and sensors at once.

Definitions follow Barandas et al., "TSFEL: Time Series Feature Extraction Library" (SoftwareX 11, 2020), where it has them;
docs/telemetry.md lists every formula. A value that nothing is known of stands for the one before it in the window. Where a
window does not move at all, ratios that would divide by zero are 0.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from mesh.signals.spectrum import spectral

MOMENTS: Final = ("mean", "std", "rms", "minimum", "maximum", "peak_to_peak", "crest", "skewness", "kurtosis")
SHAPE: Final = ("slope", "mean_abs_change", "mean_crossings", "autocorrelation")
SPECTRAL: Final = ("spectral_centroid", "spectral_entropy", "band_1", "band_2", "band_3", "band_4")
RELATIONS: Final = ("group_correlation",)
QUALITY: Final = ("coverage",)
FEATURES: Final = (*MOMENTS, *SHAPE, *SPECTRAL, *RELATIONS, *QUALITY)
"""Every feature, in the order in which they are computed."""

_TINY: Final = 1e-12

Named = dict[str, np.ndarray]


class FeatureExtractor:
    """Computes the features `select` of windows over sensors that belong to `groups` (one name a sensor, "" for none)."""

    def __init__(self, groups: Sequence[str], select: Sequence[str] = FEATURES) -> None:
        """Raises `ValueError` for a feature that there is not."""
        unknown = sorted(set(select) - set(FEATURES))
        if unknown:
            raise ValueError(f"no feature {', '.join(unknown)}; there are: {', '.join(FEATURES)}")
        self.names = tuple(select)
        self._mates = _mates(groups)
        wanted = set(select)
        self._families: list[Callable[[_Window], Named]] = [
            compute
            for names, compute in (
                (MOMENTS, _moments),
                (SHAPE, _shape),
                (SPECTRAL, lambda window: spectral(window.centred)),
                (RELATIONS, self._relations),
                (QUALITY, lambda window: {"coverage": window.coverage}),
            )
            if wanted & set(names)
        ]

    def extract(self, values: np.ndarray) -> np.ndarray:
        """Features of windows [M, S, W]: float64 [M, S, F] in the order of `names`; 0 for a sensor without any value."""
        if not len(values):
            return np.empty((0, values.shape[1], len(self.names)))
        window = _Window(values)
        found: Named = {}
        for compute in self._families:
            found |= compute(window)
        return np.stack([found[name] for name in self.names], axis=-1)

    def _relations(self, window: "_Window") -> Named:
        """The mean correlation with the other sensors of the group."""
        unit = window.centred / np.maximum(window.norm, _TINY)[..., None]
        correlation = unit @ unit.swapaxes(-1, -2)
        return {"group_correlation": np.einsum("mij,ij->mi", correlation, self._mates)}


class _Window:
    """A filled window [M, S, W] and what several families need of it."""

    def __init__(self, values: np.ndarray) -> None:
        known = np.isfinite(values)
        self.coverage = known.mean(axis=-1)
        self.x = values if known.all() else filled(values, known)
        self.mean = self.x.mean(axis=-1)
        self.centred = self.x - self.mean[..., None]
        self.squares = np.einsum("msw,msw->ms", self.centred, self.centred)
        self.norm = np.sqrt(self.squares)


def filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Windows [M, S, W] without gaps: the value before, at the beginning the first that is known, 0 where none is."""
    at = np.where(known, np.arange(values.shape[-1]), -1)
    at = np.maximum.accumulate(at, axis=-1)
    at = np.where(at < 0, np.argmax(known, axis=-1)[..., None], at)
    found = np.take_along_axis(values, at, axis=-1)
    return np.where(np.any(known, axis=-1)[..., None], found, 0.0)


def _moments(window: _Window) -> Named:
    x, n = window.x, window.x.shape[-1]
    variance = window.squares / n
    std = np.sqrt(variance)
    rms = np.sqrt(variance + np.square(window.mean))
    low, high = x.min(axis=-1), x.max(axis=-1)
    square = np.square(window.centred)
    third = np.einsum("msw,msw->ms", square, window.centred) / n
    fourth = np.einsum("msw,msw->ms", square, square) / n
    moves = std > _TINY * np.maximum(1.0, np.abs(window.mean))
    return {
        "mean": window.mean,
        "std": std,
        "rms": rms,
        "minimum": low,
        "maximum": high,
        "peak_to_peak": high - low,
        "crest": _ratio(np.maximum(np.abs(low), np.abs(high)), rms, rms > _TINY),
        "skewness": _ratio(third, variance * std, moves),
        "kurtosis": _ratio(fourth, np.square(variance), moves) - 3.0 * moves,
    }


def _shape(window: _Window) -> Named:
    centred, n = window.centred, window.x.shape[-1]
    t = np.arange(n) - (n - 1) / 2
    change = np.diff(window.x, axis=-1)
    above = centred > 0
    follows = np.einsum("msw,msw->ms", centred[..., 1:], centred[..., :-1])
    return {
        "slope": centred @ (t / (t @ t)),
        "mean_abs_change": np.abs(change).mean(axis=-1),
        "mean_crossings": (above[..., 1:] != above[..., :-1]).sum(axis=-1).astype(np.float64),
        "autocorrelation": _ratio(follows, window.squares, window.squares > _TINY),
    }


def _ratio(above: np.ndarray, below: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=where))


def _mates(groups: Sequence[str]) -> np.ndarray:
    """Weights [S, S]: a row's mates share 1 between them; a sensor without any has zeros."""
    same = np.array([[a == b != "" for b in groups] for a in groups], np.float64)
    np.fill_diagonal(same, 0.0)
    return np.asarray(same / np.maximum(same.sum(axis=1, keepdims=True), 1.0))


def feature_names(sensors: Sequence[str], select: Sequence[str] = FEATURES) -> tuple[str, ...]:
    """The columns of a flattened row: `sensor.feature`, sensor by sensor."""
    return tuple(f"{sensor}.{feature}" for sensor in sensors for feature in select)
