"""Deadline arithmetic. A deadline is seconds on a clock that only moves forward; None is no deadline."""


def after(now: float, milliseconds: float | None) -> float | None:
    """The deadline that lies `milliseconds` from `now`."""
    return None if milliseconds is None else now + milliseconds / 1000


def tighter(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def left_ms(deadline: float | None, now: float) -> float | None:
    """Milliseconds that are left, never below 0; None without a deadline."""
    return None if deadline is None else max(0.0, (deadline - now) * 1000)


def feasible(deadline: float | None, now: float, expected_ms: float | None) -> bool:
    """Whether a stage can answer in time; one of unknown length can while any time is left."""
    if deadline is None:
        return True
    left = (deadline - now) * 1000
    return left > 0 if expected_ms is None else left >= expected_ms
