"""Rows to drift alerts: has what the sensors say, or what the models make of it, changed for good?

Streams are `input.SENSOR`, the mean of each sensor's windows as a part of its declared range, and `score`, over all assets
that this reader has. An alarm proposes a training and does nothing else. What the detectors remember goes with the reader.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Final

import numpy as np

from ingest.record import Polled
from ingest.stages.rows import Rows
from mesh.alerts import AlertEvent, Place
from mesh.alerts.events import alert_id
from mesh.drift import Alarm, DriftPolicy, DriftWatch
from mesh.signals.sensors import Telemetry
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

RULE: Final = "drift"
FLEET: Final = "fleet"
"""What a drift alert names as its asset: it is of no single one."""
_RUNBOOK: Final = "docs/learning.md#drift"
_FEATURE: Final = "mean"


class Drift:
    """Watches the rows of one reader."""

    def __init__(self, telemetry: Telemetry, policy: DriftPolicy, recorder: Recorder) -> None:
        """Inputs are watched where `telemetry` selects the feature `mean` and declares the sensor's range."""
        self._watch, self._recorder = DriftWatch(policy), recorder
        every = telemetry.sensors if _FEATURE in telemetry.features else ()
        # Without a range there is no part of it: a sensor that may say anything is not watched.
        self._columns = [at for at, one in enumerate(every) if isfinite(one.low) and isfinite(one.high)]
        chosen = [every[at] for at in self._columns]
        self._streams = [f"input.{sensor.name}" for sensor in chosen]
        self._place = telemetry.features.index(_FEATURE) if chosen else 0
        self._low = np.array([sensor.low for sensor in chosen])
        self._range = np.array([sensor.high - sensor.low for sensor in chosen])

    def step(self, rows: Rows, polled: Polled) -> list[AlertEvent]:
        """The alerts that these rows bring about; rows of any number, in any cut."""
        if not len(rows):
            return []
        alarms = self._watch.observe(self._values(rows), rows.time)
        for name, mean in self._watch.means.items():
            if mean == mean:  # noqa: PLR0124 - NaN before the first whole stretch
                self._recorder.set(names.DRIFT_MEAN, mean, (name,))
        for alarm in alarms:
            for detector in alarm.detectors:
                self._recorder.count(names.DRIFT_ALARMS, 1, (alarm.stream, detector))
        return [_event(alarm, _record(rows, polled)) for alarm in alarms]

    def _values(self, rows: Rows) -> Mapping[str, np.ndarray]:
        means = (rows.features[:, self._columns, self._place] - self._low) / self._range
        found = {name: means[:, at] for at, name in enumerate(self._streams)}
        score = rows.columns.get("score")
        if isinstance(score, np.ndarray) and score.dtype.kind == "f":
            found["score"] = score
        return found


def _record(rows: Rows, polled: Polled) -> Place:
    last = int(rows.cause[int(rows.time.argmax())])
    return Place(polled.topic, polled.partitions[last], polled.offsets[last])


def _event(alarm: Alarm, place: Place) -> AlertEvent:
    said = " and ".join(alarm.detectors)
    return AlertEvent(
        kind="opened",
        id=alert_id(RULE, alarm.stream, place),
        rule=RULE,
        severity="warning",
        asset=FLEET,
        key=alarm.stream,
        since=alarm.at,
        opened_at=alarm.at,
        at=alarm.at,
        count=1,
        summary=f"{alarm.stream} drifts: {alarm.now:.4f} where it was {alarm.before:.4f} ({said}); training is proposed",
        runbook=_RUNBOOK,
        values={"stream": alarm.stream, "before": alarm.before, "now": alarm.now, "detectors": said},
        first=place,
        record=place,
    )
