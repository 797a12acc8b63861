"""Windows of healthy machines that one can work out: a common load in the means, noise in the rest, full coverage."""

import numpy as np

from mesh.learning.anomaly.windows import Layout, WindowSet

LAYOUT = Layout(("heat", "flow", "sound", "power"), ("mean", "std", "slope", "coverage"), 64_000, 8_000)
LOAD = np.array([3.0, -2.0, 2.0, 4.0])


def healthy(assets: int = 40, each: int = 40, seed: int = 1, layout: Layout = LAYOUT) -> WindowSet:
    """`each` windows of every asset; means follow the load and are 0.3 apart from it, the rest is normal noise around 5."""
    draw = np.random.default_rng(seed)
    count = assets * each
    values = 5 + draw.normal(0, 1, (count, 4, 4))
    values[:, :, 0] = 50 + LOAD * draw.normal(0, 1, (count, 1)) + draw.normal(0, 0.3, (count, 4))
    values[:, :, 3] = 1.0
    return WindowSet(
        layout,
        tuple(f"pump-{number}" for number in range(assets)),
        np.repeat(np.arange(assets), each),
        np.tile(np.arange(each) * layout.hop_ms, assets),
        values.astype(np.float32),
        np.ones(count, np.bool_),
    )
