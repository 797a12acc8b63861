"""A plot of lines over minutes as SVG text."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

WIDTH: Final = 1040
HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 56, 26, 26


@dataclass(frozen=True, slots=True)
class Line:
    """Values over minutes, both float64 [n]; NaN breaks it."""

    name: str
    minutes: np.ndarray
    values: np.ndarray
    colour: str


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time."""

    begins: float
    ends: float
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment."""

    at: float
    name: str


def plot(
    title: str, left: Sequence[Line], right: Sequence[Line], bands: Sequence[Band], marks: Sequence[Mark]
) -> str:
    """An SVG element; `left` and `right` have an axis each."""
    every = [line.minutes for line in (*left, *right) if len(line.minutes)]
    low = min((float(one.min()) for one in every), default=0.0)
    high = max((float(one.max()) for one in every), default=1.0)
    x = _Axis(min(low, 0.0), high if high > low else low + 1, _LEFT, WIDTH - _RIGHT)
    parts = [f'<text x="{_LEFT}" y="16" font-size="13" font-weight="600">{escape(title)}</text>']
    parts += [_band(band, x) for band in bands]
    parts += [_tick_x(value, x) for value in x.ticks(8)]
    for lines, at_left in ((right, False), (left, True)):
        y = _values_axis(lines)
        parts += [_tick_y(value, y, at_left=at_left) for value in y.ticks(4)]
        parts += [_path(line, x, y) for line in lines]
    parts += [_mark(mark, x) for mark in marks]
    inside = "".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="{escape(title)}" '
        f'font-family="system-ui, sans-serif">{inside}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """Numbers from `low` to `high` at places from `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self, about: int) -> list[float]:
        """Round numbers, about so many."""
        raw = (self.high - self.low) / about
        size = 10.0 ** np.floor(np.log10(raw))
        step = float(next(size * m for m in (1, 2, 5, 10) if size * m >= raw))
        first = np.ceil(self.low / step)
        return [float(step * k) + 0.0 for k in np.arange(first, np.floor(self.high / step) + 1)]


def _values_axis(lines: Sequence[Line]) -> _Axis:
    known = [line.values[np.isfinite(line.values)] for line in lines]
    values = np.concatenate(known) if known else np.empty(0)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 1.0
    return _Axis(low - margin, high + margin, HEIGHT - _BOTTOM, _TOP)


def _path(line: Line, x: _Axis, y: _Axis) -> str:
    parts, pen = [], "M"
    for minute, value in zip(line.minutes.tolist(), line.values.tolist(), strict=True):
        if not np.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{x.place(minute):.1f} {y.place(value):.1f}")
        pen = "L"
    return f'<path d="{"".join(parts)}" fill="none" stroke="{line.colour}" stroke-width="1.4"/>'


def _band(band: Band, x: _Axis) -> str:
    begins, ends = x.place(max(band.begins, x.low)), x.place(min(band.ends, x.high))
    return (
        f'<rect x="{begins:.1f}" y="{_TOP}" width="{max(1.0, ends - begins):.1f}" height="{HEIGHT - _TOP - _BOTTOM}" '
        f'fill="#d64545" fill-opacity=".14"/><text x="{begins + 4:.1f}" y="{_TOP + 12}" font-size="11" '
        f'fill="#a12f2f">{escape(band.name)}</text>'
    )


def _mark(mark: Mark, x: _Axis) -> str:
    at = x.place(mark.at)
    return (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" stroke="#e08a1e" stroke-width="2"/>'
        f'<text x="{at + 4:.1f}" y="{HEIGHT - _BOTTOM - 5}" font-size="11" fill="#9a5c0c">{escape(mark.name)}</text>'
    )


def _tick_x(value: float, x: _Axis) -> str:
    at = x.place(value)
    return f'<text x="{at:.1f}" y="{HEIGHT - 8}" font-size="11" fill="#5a6b7b" text-anchor="middle">{value:g} min</text>'


def _tick_y(value: float, y: _Axis, *, at_left: bool) -> str:
    place = y.place(value)
    where = (
        f'x="{_LEFT - 8}" text-anchor="end"' if at_left else f'x="{WIDTH - _RIGHT + 8}" text-anchor="start"'
    )
    rule = (
        f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{place:.1f}" y2="{place:.1f}" stroke="#e6ebf0"/>'
        if at_left
        else ""
    )
    return f'{rule}<text {where} y="{place + 4:.1f}" font-size="11" fill="#5a6b7b">{value:g}</text>'
