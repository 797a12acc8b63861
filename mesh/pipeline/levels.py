"""How much of the chain runs now: less when readings or decisions come late, all of it again when that has passed. Pure."""

from mesh.pipeline.plan import Level, LevelRules


class LevelGauge:
    """The current level. Going up is at once; going down is one level at a time, after a hold, with hysteresis."""

    def __init__(self, rules: LevelRules) -> None:
        self._rules = rules
        self._calm_since: float | None = None
        self.level = Level.FULL

    def observe(self, behind_ms: float, now: float) -> Level:
        """Readings or decisions are `behind_ms` late at `now` seconds on a clock that does not go back.

        Returns the level from here on.
        """
        reached = Level(sum(behind_ms >= limit for limit in self._rules.behind_ms))
        if reached > self.level:
            self.level, self._calm_since = reached, None
        elif self.level > Level.FULL:
            self._recover(behind_ms, now)
        return self.level

    def _recover(self, behind_ms: float, now: float) -> None:
        if behind_ms >= self._rules.recover * self._rules.behind_ms[self.level - 1]:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._rules.hold_ms / 1e3:
            self.level, self._calm_since = Level(self.level - 1), now
