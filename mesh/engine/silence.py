"""How long a model has said nothing at all, while calls to it ran out of time."""


class Silence:
    """Tells a model that hangs from one that is slower than its callers wait: the slow one's late answers are heard. Pure."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None

    def heard(self) -> None:
        """A replica answered something, in time or not."""
        self._since = None

    def missed(self, began: float, now: float) -> float:
        """A call that began then has run out of time: the seconds since the first such call after the last word."""
        if self._since is None:
            self._since = began
        return now - self._since
