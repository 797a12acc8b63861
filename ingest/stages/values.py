"""A record's values in the order of the sensors: in the declared unit, within range, and what is odd counted or refused."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import Final

import numpy as np

from ingest.record import RejectKind
from ingest.stages.units import conversion
from mesh.signals.sensors import OddValue, RecordRules, Sensor

Row = Sequence[float | None]
Units = str | Mapping[str, str] | None

LARGEST: Final = 1e36
"""What is beyond it is out of every range: the fourth powers of a window's values must stay numbers, and models take float32."""
_NAN: Final = float("nan")


class Odd(StrEnum):
    """What is strange about a value that was declared otherwise. The value is the metric's label."""

    UNKNOWN_SENSOR = "unknown_sensor"
    OUT_OF_RANGE = "out_of_range"
    NOT_A_NUMBER = "not_a_number"
    WRONG_UNIT = "wrong_unit"


Oddities = Counter[tuple[Odd, str]]
"""How many values were flagged, by kind and sensor; "" stands for sensors that are not declared, whose names nothing bounds."""


class RefusedRecord(Exception):
    """The record cannot be taken: the kind, and a reason that names the field."""

    def __init__(self, kind: RejectKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Values:
    """What is declared of S sensors, applied to what records say of them."""

    def __init__(self, sensors: Sequence[Sensor], rules: RecordRules) -> None:
        self._sensors = sensors
        self._rules = rules
        self._place = {sensor.name: at for at, sensor in enumerate(sensors)}
        self._all = _getter([sensor.name for sensor in sensors])
        self._low = np.array([max(sensor.low, -LARGEST) for sensor in sensors])
        self._high = np.array([min(sensor.high, LARGEST) for sensor in sensors])

    def plain(self, given: Mapping[str, float | None]) -> Row | None:
        """The row of a record that gives a number or null for exactly the declared sensors; None for another."""
        if len(given) != len(self._place):
            return None
        try:
            return self._all(given)
        except KeyError:
            return None

    def row(self, given: Mapping[str, object], units: Units, odd: Oddities) -> Row:
        """The row of any record; raises `RefusedRecord` where the rules refuse what is odd about it."""
        if not given:
            raise RefusedRecord(
                RejectKind.NO_FEATURES, "the record has no sensors: give sensors, or sensor and value"
            )
        values = [_NAN] * len(self._sensors)
        for name, value in given.items():
            place = self._place.get(name)
            if place is None:
                _judge(self._rules.unknown_sensor, Odd.UNKNOWN_SENSOR, name, "is not declared", odd, label="")
                continue
            unit = units.get(name) if isinstance(units, Mapping) else units
            values[place] = self._number(self._sensors[place], value, unit, odd)
        return values

    def outside(self, values: np.ndarray) -> np.ndarray:
        """Which of the values [N, S] are out of their sensor's range: bool [N, S]."""
        with np.errstate(invalid="ignore"):
            return np.asarray((values < self._low) | (values > self._high))

    def why_outside(self, row: np.ndarray, outside: np.ndarray) -> str:
        """The first value [S] of a row that is out of range, in words."""
        at = int(np.argmax(outside))
        sensor = self._sensors[at]
        return f"sensor '{sensor.name}' is {row[at]:g}, its range is {self._low[at]:g} to {self._high[at]:g}"

    def _number(self, sensor: Sensor, value: object, unit: str | None, odd: Oddities) -> float:
        if value is None:
            return _NAN
        if isinstance(value, bool) or not isinstance(value, int | float):
            reason = f"is {value!r:.60}, expected a number"
            _judge(self._rules.not_a_number, Odd.NOT_A_NUMBER, sensor.name, reason, odd)
            return _NAN
        number = _float(value)
        if unit is None:
            return number
        way = conversion(unit, sensor.unit)
        if way is None:
            reason = f"is in '{unit[:40]}', which does not convert to '{sensor.unit}'"
            _judge(self._rules.wrong_unit, Odd.WRONG_UNIT, sensor.name, reason, odd)
            return _NAN
        scale, offset = way
        return number * scale + offset


def _float(value: float) -> float:
    """JSON has whole numbers of any length: one that no float holds is out of every range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _judge(
    rule: OddValue, kind: Odd, sensor: str, reason: str, odd: Oddities, label: str | None = None
) -> None:
    """Count what is flagged, refuse the record otherwise."""
    if rule == "flag":
        odd[kind, sensor if label is None else label] += 1
        return
    raise RefusedRecord(RejectKind(kind.value), f"sensor '{sensor[:60]}' {reason}")


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, float | None]], Row]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda sensors: tuple(sensors[name] for name in names)
