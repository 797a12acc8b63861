"""What the detector compares and how far back. Every length is in values of a series."""

from dataclasses import dataclass
from typing import Final

MEMBERS: Final = ("isolation", "shape", "level", "residual")
"""The distances that a value gets, in the order of every array over members."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the detector looks at a series; the defaults are those measured on the Numenta benchmark.

    A value is compared with the `lags` values before it. Its tail probabilities come from the `memory` distances
    before it. Nothing scores in the first `warmup` values.
    """

    lags: int = 2000
    memory: int = 4000
    warmup: int = 50
    weights: tuple[float, float, float, float] = (2.0, 1.0, 1.0, 1.0)
    """The weight of each of `MEMBERS` in their mean."""
    power: float = 4.0
    """The power of that mean: 1 asks all members to agree, and the larger, the more the loudest member decides."""
    quiet: int = 150
    """A value scores only where it is stranger than the so many values before it; with 0 every value scores."""
    margin: float = 0.15
    """How much stranger, as a natural logarithm of the tail probability."""
    forget: float = 0.9
    """What the difference one value earlier counts for in the distance of shapes."""
    apart: int = 32
    """Shapes are compared at this lag or more: a nearer one overlaps the shape itself."""
    overlap: int = 10
    """Shapes of fewer values than this are not compared."""
    smoothing: float = 0.2
    """The weight of the newest value in the smoothed level."""
    half_life: float = 500.0
    """After so many values a value counts half in the long mean, from which the smoothed level may stray."""
    width: int = 12
    """The values in a subsequence whose residual is taken."""
    components: int = 4
    """The principal components that explain a subsequence."""
    refit: int = 100
    """The components are fitted anew each time so many values have come."""

    def __post_init__(self) -> None:
        if min(self.lags, self.memory, self.warmup, self.refit, self.components, self.apart) < 1:
            raise ValueError("lags, memory, warmup, refit, components and apart are at least 1")
        if not self.components < self.width < self.refit <= self.lags:
            raise ValueError("components < width < refit <= lags must hold")
        if self.apart > self.lags:
            raise ValueError("apart is at most lags: no shape would be compared")
        if min(self.quiet, self.overlap) < 0 or not (0 < self.forget < 1 and 0 < self.smoothing <= 1):
            raise ValueError("quiet and overlap are at least 0, forget is in (0, 1) and smoothing in (0, 1]")
        if self.half_life <= 0 or self.power <= 0 or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("half_life and power are above 0, weights are not negative and not all 0")
