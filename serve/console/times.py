"""Times as people read them: local, with UTC on hover. Pure, but for who asks which zone is local."""

from datetime import UTC, datetime, tzinfo
from html import escape
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone(name: str | None) -> tzinfo:
    """The browser's zone by its IANA name; UTC where it is not known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def parsed(text: str) -> datetime:
    """An RFC 3339 time as the API writes it."""
    return datetime.fromisoformat(text)


def local(text: str, where: tzinfo, now: datetime) -> str:
    """Time of day, with the date unless it is today's."""
    time = parsed(text).astimezone(where)
    same = time.date() == now.astimezone(where).date()
    return time.strftime("%H:%M:%S" if same else "%d %b %Y, %H:%M:%S")


def axis(text: str, where: tzinfo) -> str:
    """Local time without its zone: plots show what they are given."""
    return parsed(text).astimezone(where).replace(tzinfo=None).isoformat()


def utc(text: str) -> str:
    """For the hover."""
    return parsed(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def time_html(text: str | None, where: tzinfo, now: datetime) -> str:
    """A time with UTC on hover, as HTML; a dash for none."""
    if text is None:
        return "—"
    return f'<time datetime="{escape(text)}" title="{escape(utc(text))}">{escape(local(text, where, now))}</time>'


def span(seconds: float | None) -> str:
    """A length of time in the largest unit that fits: `45 s`, `12 min`, `3.5 h`, `2 d`; a dash for none."""
    if seconds is None:
        return "—"
    size = abs(seconds)
    for least, unit, words in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if size >= least:
            return f"{seconds / unit:.1f}".rstrip("0").rstrip(".") + f" {words}"
    return f"{seconds:.0f} s"


def left(until: str, now: datetime) -> str:
    """How long until then: `due in 12 min`, `overdue by 3 h`."""
    seconds = (parsed(until) - now).total_seconds()
    return f"due in {span(seconds)}" if seconds >= 0 else f"overdue by {span(-seconds)}"
