"""Numbers as the live view writes them."""

from collections.abc import Mapping

from mesh.telemetry.summary import Flow


def alarm(count: int) -> str:
    """Red where there is any."""
    return f"[red]{count:,}[/]" if count else "0"


def pairs(counts: Mapping[str, int]) -> str:
    """`late 3, odd 1`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def rate(flow: Flow) -> str:
    """`1,200/s`."""
    return f"{flow.per_s:,.0f}/s"


def count(number: int | None) -> str:
    """`1,200`; `-` where it is not known."""
    return "-" if number is None else f"{number:,}"


def milliseconds(seconds: float | None) -> str:
    """`8.2 ms`; `-` where nothing was measured."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


def clock(seconds: float) -> str:
    """`1:02:03`, or `02:03` within the first hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
