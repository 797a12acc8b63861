"""Charts over time as inline SVG: a line, shaded bands behind it, thresholds across it. Colours come from the page's style."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final, Literal

import numpy as np

WIDTH: Final = 920
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 22, 18, 20
_COLUMNS: Final = 420
"""A line keeps the lowest and highest value of so many stretches of time: what a screen can show."""


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time, in seconds, that is shaded; `kind` is its style."""

    begins: float
    ends: float
    kind: Literal["truth", "alert"]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`values` float64 [n] at `seconds` float64 [n], NaN for gaps, from 0 until `ends`; `thresholds` are names and values."""

    title: str
    seconds: np.ndarray
    values: np.ndarray
    ends: float
    bands: Sequence[Band] = ()
    thresholds: Sequence[tuple[str, float]] = ()
    height: int = 130


def draw(chart: Chart) -> str:
    """The chart as one `svg` element."""
    low, high = _limits(chart)
    scale = _Scale(chart.ends, low, high, chart.height)
    parts = [
        *(_band(band, scale) for band in chart.bands),
        *(_tick(value, scale) for value in _ticks(low, high, 3)),
        *(_minute(second, scale) for second in _ticks(0.0, chart.ends / 60, 8)),
        *(_threshold(name, value, scale) for name, value in chart.thresholds if low <= value <= high),
        *(f'<polyline class="line" points="{points}"/>' for points in _points(chart, scale)),
        f'<text class="title" x="{_LEFT}" y="12">{escape(chart.title)}</text>',
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {chart.height}" role="img" aria-label="{escape(chart.title)}">'
        f"{''.join(parts)}</svg>"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From seconds and values to places on the page."""

    ends: float
    low: float
    high: float
    height: int

    def x(self, second: float) -> float:
        inside = min(max(second, 0.0), self.ends) / self.ends if self.ends else 0.0
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * inside

    def y(self, value: float) -> float:
        return self.floor - (self.floor - _TOP) * (value - self.low) / (self.high - self.low)

    @property
    def floor(self) -> float:
        return self.height - _BOTTOM


def _limits(chart: Chart) -> tuple[float, float]:
    """The values that are shown: all of them, and the lowest threshold; a flat line gets room."""
    shown = chart.values[np.isfinite(chart.values)].tolist()
    shown += [min(value for _, value in chart.thresholds)] if chart.thresholds else []
    if not shown:
        return 0.0, 1.0
    low, high = min(shown), max(shown)
    room = 0.06 * (high - low) or max(1e-9, abs(high) * 0.01)
    return low - room, high + room


def _points(chart: Chart, scale: _Scale) -> list[str]:
    """The line's stretches between gaps, thinned."""
    order = np.argsort(chart.seconds, kind="stable")
    seconds, values = chart.seconds[order], chart.values[order]
    breaks = np.flatnonzero(np.diff(np.isfinite(values).astype(np.int8))) + 1
    found = []
    for part in np.split(np.arange(len(values)), breaks):
        if len(part) and np.isfinite(values[part[0]]):
            kept = part[_thinned(seconds[part], values[part], chart.ends)]
            found.append(" ".join(f"{scale.x(seconds[at]):.1f},{scale.y(values[at]):.1f}" for at in kept))
    return found


def _thinned(seconds: np.ndarray, values: np.ndarray, ends: float) -> np.ndarray:
    """Places of the lowest and highest value of every stretch of time, in their order."""
    if len(seconds) <= 2 * _COLUMNS:
        return np.arange(len(seconds))
    column = np.minimum(_COLUMNS - 1, (seconds / max(ends, 1e-9) * _COLUMNS).astype(np.int64))
    kept: list[int] = []
    for part in np.split(np.arange(len(seconds)), np.flatnonzero(np.diff(column)) + 1):
        kept += sorted({int(part[values[part].argmin()]), int(part[values[part].argmax()])})
    return np.array(kept)


def _band(band: Band, scale: _Scale) -> str:
    left, right = scale.x(band.begins), scale.x(band.ends)
    top, bottom = (_TOP, scale.floor) if band.kind == "truth" else (scale.floor, scale.floor + 5)
    width, height = max(1.5, right - left), bottom - top
    mark = (
        f'<line class="opened" x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{scale.floor:.1f}"/>'
        if band.kind == "alert"
        else ""
    )
    return (
        f'<rect class="{band.kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{escape(band.says)}</title></rect>{mark}"
    )


def _tick(value: float, scale: _Scale) -> str:
    y = scale.y(value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" text-anchor="end" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{value:g}</text>'
    )


def _minute(minute: float, scale: _Scale) -> str:
    x = scale.x(60 * minute)
    return f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{scale.height - 4}">{minute:g} min</text>'


def _threshold(name: str, value: float, scale: _Scale) -> str:
    y = scale.y(value)
    return (
        f'<line class="threshold" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="name" text-anchor="end" x="{WIDTH - _RIGHT}" y="{y - 3:.1f}">{escape(name)} {value:g}</text>'
    )


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    rough = (high - low) / about
    unit = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = int(np.ceil(low / step - 1e-9))
    return [round(number * step, 10) for number in range(first, int(np.floor(high / step + 1e-9)) + 1)]
