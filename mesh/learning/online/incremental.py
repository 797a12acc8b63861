"""What can learn a few rows at a time: the method that scikit-learn gave the name."""

from typing import Protocol

import numpy as np


class Incremental(Protocol):
    """A model that need not see old rows again."""

    def partial_fit(self, features: np.ndarray, labels: np.ndarray, *, sample_weight: np.ndarray) -> object:
        """Learn from `features` [N, F], `labels` [N] (1 is anomalous) and `sample_weight` [N], beside what is known already."""
        ...
