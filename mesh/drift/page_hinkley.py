"""The Page-Hinkley test: a running sum of deviations from the mean that has gone too far from its extreme.

Source: E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954; with the forgetting factor of R. Sebastião,
J. M. Fernandes, IIWAS 2017. With mean m_t of the values so far:

    up_t   = alpha · up_{t-1}   + (x_t - m_t - delta)      alarm where up_t - min(up) > threshold
    down_t = alpha · down_{t-1} + (x_t - m_t + delta)      alarm where max(down) - down_t > threshold
"""


class PageHinkley:
    """One stream, both directions. It begins anew after an alarm."""

    def __init__(
        self, delta: float = 0.005, threshold: float = 50.0, alpha: float = 0.9999, least: int = 30
    ) -> None:
        """`delta` is the change that is of no interest; no alarm before `least` values. `ValueError` for impossible settings."""
        if delta < 0 or threshold <= 0 or not 0 < alpha <= 1 or least < 1:
            raise ValueError(
                "delta must be at least 0, threshold above 0, alpha in (0, 1], least at least 1; got "
                f"{delta}, {threshold}, {alpha} and {least}"
            )
        self._delta, self._threshold, self._alpha, self._least = delta, threshold, alpha, least
        self.detections = 0
        self.count, self.mean = 0, 0.0
        self._up = self._down = 0.0
        self._lowest, self._highest = float("inf"), float("-inf")

    def update(self, value: float) -> bool:
        """Take a value; True where this raises the alarm. `ValueError` where it is not finite."""
        if not abs(value) < float("inf"):
            raise ValueError(f"expected a finite number, got {value}")
        self.count += 1
        self.mean += (value - self.mean) / self.count
        deviation = value - self.mean
        self._up = self._alpha * self._up + deviation - self._delta
        self._down = self._alpha * self._down + deviation + self._delta
        self._lowest = min(self._lowest, self._up)
        self._highest = max(self._highest, self._down)
        far = max(self._up - self._lowest, self._highest - self._down)
        if self.count < self._least or far <= self._threshold:
            return False
        self.detections += 1
        self._begin()
        return True

    def _begin(self) -> None:
        self.count, self.mean = 0, 0.0
        self._up = self._down = 0.0
        self._lowest, self._highest = float("inf"), float("-inf")
