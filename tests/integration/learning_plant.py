"""A plant of four sensors: its configuration, what its machines said, and what is so, for the tests of learning."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mesh.learning.anomaly.simulated import Machines, faulty_windows, healthy_windows, signal_scenarios
from mesh.learning.anomaly.windows import WindowSet
from mesh.learning.feedback.labels import AdjudicatedLabel, Verdict, Vote
from mesh.spec import load_features, load_scenarios, load_telemetry
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.rows import FeatureBatch, Piece

ROOT = Path(__file__).resolve().parents[2]
SENSORS = ("inlet_temperature", "discharge_pressure", "flow", "vibration_axial")
LEARNING = """
model: pumps
labels: {labels}
replay: {{days: 3650, windows: 5000}}
benchmark: {{seeds: [7], machines: 4, healthy: 6, healthy_s: 300}}
gates: {{{gates}, latency_ms: 5000, slower: 50, least_labels: 10}}
update: {{most: 1.1}}
schedule: {{every: 1s, least_gap: 1s, cpus: 0.2, nice: 0, timeout: 4m, rollout: pumps}}
"""
STRICT = "most_false: 0.05, false_share: 0.05, labels: 0.15"
BLIND = "found: 1, false_share: 1, labels: 1"
"""Gates that let everything pass: whatever is worse is then the rollout's to find out."""
SCENARIO = """
description: A valve half closes.
duration_s: 300
faults:
  - {kind: level_shift, share: 0.5, sensors: [flow], begins_s: 80, lasts_s: 160, size: -20}
"""


@dataclass(frozen=True)
class Plant:
    """Its windows: `calm` ones of healthy machines and `bad` ones of faulty machines, under names that begin so."""

    config: Path
    calm: FeatureBatch
    bad: FeatureBatch

    def store(self, rows: FeatureBatch, offset: int = 0) -> None:
        """Append rows to the history; `offset` is the first one's in the stream."""
        store = load_features(self.config)
        view, root = store.views["telemetry"], self.config.parent
        writer = DeltaWriter(store.address_of(view, root), view)
        writer.begin([0])
        none = np.zeros(len(rows), np.int64)
        writer.append(Piece(rows, none, offset + np.arange(len(rows)), {0: offset + len(rows)}))

    def learning(self, labels: str, gates: str = STRICT) -> None:
        """Write learning.yaml."""
        text = LEARNING.format(labels=labels, gates=gates)
        (self.config / "learning.yaml").write_text(text)


def planted(config: Path) -> Plant:
    """Write telemetry.yaml with four of the shipped sensors, a scenario, and simulate; nothing is stored yet."""
    (config / "scenarios").mkdir(parents=True, exist_ok=True)
    text = (ROOT / "config/telemetry.yaml").read_text().splitlines()
    kept = [
        line
        for line in text
        if not line.startswith("  ") or ": {unit" not in line or line.strip().split(":")[0] in SENSORS
    ]
    (config / "telemetry.yaml").write_text("\n".join(kept) + "\n")
    (config / "scenarios/valve.yaml").write_text(SCENARIO)
    telemetry = load_telemetry(config)
    assert [one.name for one in telemetry.sensors] == list(SENSORS)
    (scenario,) = signal_scenarios(load_scenarios(config / "scenarios", telemetry))
    bad = faulty_windows(telemetry, scenario, Machines(12, 300), 2)
    calm = healthy_windows(telemetry, Machines(40, 240), 1)
    return Plant(config, rows_of("calm", calm), rows_of("bad", bad.take(~bad.healthy)))


def uprooted(plant: Plant) -> None:
    """Remove what `planted`, `learning` and trainings wrote beside models.yaml and routing.yaml."""
    for name in ("telemetry.yaml", "learning.yaml"):
        (plant.config / name).unlink(missing_ok=True)
    for folder in (plant.config / "scenarios", plant.config / "rollouts"):
        shutil.rmtree(folder, ignore_errors=True)


def rows_of(kind: str, windows: WindowSet) -> FeatureBatch:
    names = [f"{kind}-{windows.assets[at]}" for at in windows.asset.tolist()]
    return FeatureBatch(names, windows.time, windows.time + 500, windows.flat.astype(np.float64))


def joined(first: FeatureBatch, second: FeatureBatch) -> FeatureBatch:
    return FeatureBatch(
        [*first.entities, *second.entities],
        np.concatenate([first.event_time, second.event_time]),
        np.concatenate([first.created_time, second.created_time]),
        np.concatenate([first.values, second.values]),
    )


def label_of(rows: FeatureBatch, row: int, number: int, verdict: Verdict) -> AdjudicatedLabel:
    """What ann and bob settled about one row."""
    end, now = int(rows.event_time[row]), int(time.time() * 1e3) - 3_600_000
    votes = (Vote("ann", verdict), Vote("bob", verdict))
    weight = 1.0 if verdict == "anomalous" else 20.0
    return AdjudicatedLabel(
        f"l-{number}", f"i-{number}", rows.entities[row], end, verdict, weight, votes, "raw", 0, row, end + 900, now + number
    )  # fmt: skip
