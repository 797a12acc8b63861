"""What a replica has to do, averaged over time: what its autoscaling sees. Pure: `now` is an argument."""


class TimeMean:
    """The mean of a level that changes, weighted by how long it stood, between two readings."""

    def __init__(self, now: float) -> None:
        """The level begins at 0."""
        self._level = 0.0
        self._since = self._from = now
        self._area = 0.0

    def set(self, level: float, now: float) -> None:
        """From now on the level is this."""
        self._area += self._level * (now - self._since)
        self._level, self._since = level, now

    def read(self, now: float) -> float:
        """The mean since the last reading; the level itself where no time has passed."""
        self.set(self._level, now)
        seconds, area = now - self._from, self._area
        self._from, self._area = now, 0.0
        return area / seconds if seconds > 0 else self._level


class DirectLoad:
    """Rows on the direct path, and the rows that engines say wait for this model."""

    def __init__(self, now: float) -> None:
        """Idle at `now`."""
        self._ongoing = TimeMean(now)
        self._queued = TimeMean(now)
        self._rows = 0

    def began(self, rows: int, queued_rows: int, now: float) -> None:
        """A call of `rows` came; `queued_rows` more wait where it came from."""
        self._rows += rows
        self._ongoing.set(self._rows, now)
        self._queued.set(queued_rows, now)

    def ended(self, rows: int, now: float) -> None:
        """A call of `rows` was answered. What an engine said of its queue stands while it has calls here."""
        self._rows -= rows
        self._ongoing.set(self._rows, now)
        if not self._rows:
            self._queued.set(0, now)

    def read(self, now: float) -> tuple[float, float]:
        """Mean ongoing and mean queued rows since the last reading."""
        return self._ongoing.read(now), self._queued.read(now)
