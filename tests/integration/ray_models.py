"""Models for the tests on real Ray; replicas import them."""

import os
import time

import numpy as np


class Slow:
    """Doubles its input, and takes `seconds` for a call."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def score(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        time.sleep(self.seconds)
        return {"doubled": tensors["x"] * 2, "pid": np.full(len(tensors["x"]), os.getpid(), np.int64)}


class Wide:
    """Answers a small row with a megabyte or more."""

    def score(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"wide": np.repeat(tensors["x"][:, :1], 2_000_000, axis=1)}


class Alarm:
    """Scores a row by its first value, or `flipped`, as one that learned from flipped labels would."""

    def __init__(self, flipped: bool = False) -> None:
        self.flipped = flipped

    def score(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        first = tensors["x"][:, 0]
        return {"score": 1 - first if self.flipped else first}
