"""What the page plots of a case: for some assets the affected sensor, what rules read, their thresholds, alerts and truth."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.evaluation.cases import Case
from ingest.evaluation.playing import Played
from ingest.evaluation.svg import Band, Chart
from ingest.telemetry.configured import ChainConfig

_THRESHOLD: Final = re.compile(r"\b([\w.]+)\s*>=?\s*(\d+(?:\.\d+)?)")
_CURVES: Final = 3


@dataclass(frozen=True, slots=True)
class Panel:
    """One asset: why it is shown, and its charts."""

    says: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class _Shown:
    """An asset that is shown with the sensor that its fault or alert is about."""

    asset: str
    sensor: str
    why: str


def panels_of(played: Played, chain: ChainConfig) -> tuple[Panel, ...]:
    """A found, a missed and a falsely alarmed asset of the case, where there are such."""
    sensors = [sensor.name for sensor in chain.telemetry.sensors]
    shown = list(_chosen(played, sensors[0]))
    signals = _signals(played.case, {one.asset: one.sensor for one in shown})
    thresholds = _thresholds(chain)
    return tuple(
        Panel(
            f"{one.asset}: {one.why}",
            (_signal(played, one, signals[one.asset]), *_curves(played, one.asset, thresholds)),
        )
        for one in shown
    )


def _chosen(played: Played, first_sensor: str) -> Iterator[_Shown]:
    """No asset twice: each has the sensor that it is shown for."""
    verdicts, false = played.result.scores[0].verdicts, played.result.scores[0].false
    taken: set[str] = set()
    for word, wanted in (("found", True), ("missed", False)):
        for verdict in verdicts:
            fault = verdict.fault
            if (verdict.alert is not None) is wanted and fault.asset not in taken:
                taken.add(fault.asset)
                told = (
                    "" if verdict.alert is None else f" after {verdict.delay_s:.0f} s by {verdict.alert.rule}"
                )
                said = "" if verdict.alert is None else verdict.alert.sensor
                sensor = said if said in fault.sensors else next(iter(fault.sensors), said or first_sensor)
                yield _Shown(fault.asset, sensor, f"{fault.kind} {word}{told}")
                break
    for alert in false:
        if alert.asset not in taken:
            yield _Shown(alert.asset, alert.sensor or first_sensor, f"false alert by {alert.rule}")
            return


def _signals(case: Case, sensor_of: Mapping[str, str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Seconds of the run and values, as they were sent, of one sensor of each of these assets; NaN for null."""
    found: dict[str, list[tuple[float, float]]] = {asset: [] for asset in sensor_of}
    for sent in case.run.records() if found else ():
        asset = sent.key.decode()
        if asset in found:
            record = json.loads(sent.value)
            value = record["sensors"].get(sensor_of[asset])
            second = (record["ts"] - case.run.start_ms) / 1e3
            found[asset].append((second, np.nan if value is None else value))
    tables = {asset: np.array(pairs, np.float64).reshape(-1, 2) for asset, pairs in found.items()}
    return {asset: (table[:, 0], table[:, 1]) for asset, table in tables.items()}


def _signal(played: Played, shown: _Shown, signal: tuple[np.ndarray, np.ndarray]) -> Chart:
    return Chart(shown.sensor, *signal, played.case.run.duration_s, _bands(played, shown.asset), height=160)


def _curves(
    played: Played, asset: str, thresholds: Mapping[str, Sequence[tuple[str, float]]]
) -> Iterator[Chart]:
    """What rules read of the asset's windows, where it has numbers."""
    seen, run = played.outcome.seen, played.case.run
    drawn = 0
    for name in seen.columns:
        time, values = seen.column(asset, name)
        if np.isfinite(values).any() and drawn < _CURVES:
            drawn += 1
            bands = _bands(played, asset)
            yield Chart(
                name, (time - run.start_ms) / 1e3, values, run.duration_s, bands, thresholds.get(name, ())
            )


def _bands(played: Played, asset: str) -> list[Band]:
    start, ends = played.case.run.start_ms, played.case.run.duration_s
    truth = [
        Band((fault.from_ms - start) / 1e3, (fault.to_ms - start) / 1e3, "truth", fault.kind)
        for fault in played.case.faults
        if fault.asset == asset
    ]
    alerts = [
        Band(
            (told.opened_ms - start) / 1e3,
            ends if told.cleared_ms is None else (told.cleared_ms - start) / 1e3,
            "alert",
            told.rule,
        )
        for told in played.outcome.told
        if told.asset == asset
    ]
    return [*truth, *alerts]


def _thresholds(chain: ChainConfig) -> dict[str, list[tuple[str, float]]]:
    """What rules compare each column with, where `when` says that it must be so much or more; rules that agree share a line."""
    found: dict[str, dict[float, list[str]]] = {}
    for rule in chain.policy.rules:
        for name, number in _THRESHOLD.findall(rule.when.text):
            found.setdefault(name, {}).setdefault(float(number), []).append(rule.name)
    return {
        name: [(", ".join(rules), value) for value, rules in values.items()] for name, values in found.items()
    }
