"""Engines that wear in a way one can work out: a drift that grows towards failure, under a little noise."""

import numpy as np

from mesh.learning.degradation import Fleet


def worn_fleet(units: int = 12, seed: int = 1) -> Fleet:
    """Lives of 60 to 160 cycles; `heat` climbs over the last 80, `still` never moves, `noise` tells nothing."""
    draw = np.random.default_rng(seed)
    lives = draw.integers(60, 160, units)
    unit = np.repeat(np.arange(1, units + 1), lives)
    cycle = np.concatenate([np.arange(1, life + 1) for life in lives])
    left = np.repeat(lives, lives) - cycle
    heat = 600 + np.maximum(80 - left, 0) / 4 + draw.normal(0, 0.3, len(unit))
    return Fleet(
        ("heat", "still", "noise"),
        unit,
        cycle,
        np.stack([heat, np.full(len(unit), 5.0), draw.normal(size=len(unit))], axis=1),
    )
