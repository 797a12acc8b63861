"""From labels to a challenger on real parts: a Delta history, a training as a Ray task that gives way, the commands."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from mesh.errors import DeadlineExceeded
from mesh.learning.anomaly.simulated import Machines, faulty_windows, healthy_windows, signal_scenarios
from mesh.learning.anomaly.windows import Layout, WindowSet
from mesh.learning.feedback.label_file import write_labels
from mesh.learning.feedback.labels import AdjudicatedLabel, MemoryLabels, Verdict, Vote
from mesh.learning.ray_job import Job, run_on_ray
from mesh.records.audit_log import AuditLog
from mesh.records.database import database_url, open_database
from mesh.registry.configured import open_registry
from mesh.spec import load_features, load_learning, load_scenarios, load_telemetry
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.rows import FeatureBatch, Piece

ROOT = Path(__file__).resolve().parents[2]
SENSORS = ("inlet_temperature", "discharge_pressure", "flow", "vibration_axial")
LEARNING = """
model: pumps
labels: store/labels.jsonl
replay: {days: 3650, windows: 5000}
benchmark: {seeds: [7], machines: 4, healthy: 6, healthy_s: 300}
gates: {latency_ms: 5000, slower: 50, most_false: 0.05, false_share: 0.05, least_labels: 10}
schedule: {cpus: 0.2, nice: 12, timeout: 4m}
"""
SCENARIO = """
description: A valve half closes.
duration_s: 300
faults:
  - {kind: level_shift, share: 0.5, sensors: [flow], begins_s: 80, lasts_s: 160, size: -10}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plant of four sensors with a history of healthy and faulty machines, and what two people said of it."""
    root = tmp_path_factory.mktemp("plant")
    config = root / "config"
    (config / "scenarios").mkdir(parents=True)
    text = (ROOT / "config/telemetry.yaml").read_text().splitlines()
    kept = [
        line
        for line in text
        if not line.startswith("  ") or ": {unit" not in line or line.strip().split(":")[0] in SENSORS
    ]
    (config / "telemetry.yaml").write_text("\n".join(kept) + "\n")
    (config / "learning.yaml").write_text(LEARNING)
    (config / "scenarios/valve.yaml").write_text(SCENARIO)
    telemetry = load_telemetry(config)
    assert [one.name for one in telemetry.sensors] == list(SENSORS)
    (scenario,) = signal_scenarios(load_scenarios(config, telemetry))
    calm = healthy_windows(telemetry, Machines(40, 240), 1)
    bad = faulty_windows(telemetry, scenario, Machines(12, 300), 2)
    bad = bad.take(~bad.healthy)
    store = load_features(config)
    view = store.views["telemetry"]
    writer = DeltaWriter(store.address_of(view, root), view)
    writer.begin([0])
    batch = rows_of(calm, bad)
    none = np.zeros(len(batch), np.int64)
    writer.append(Piece(batch, none, np.arange(len(batch)), {0: len(batch)}))
    write_labels(root / "store/labels.jsonl", MemoryLabels(told(batch)))
    return root


def rows_of(calm: WindowSet, bad: WindowSet) -> FeatureBatch:
    names = [
        f"{kind}-{one.assets[at]}"
        for kind, one in (("calm", calm), ("bad", bad))
        for at in one.asset.tolist()
    ]
    time_ms = np.concatenate([calm.time, bad.time])
    values = np.concatenate([calm.flat, bad.flat]).astype(np.float64)
    return FeatureBatch(names, time_ms, time_ms + 500, values)


def told(rows: FeatureBatch, flip: bool = False) -> list[AdjudicatedLabel]:
    bad = [at for at, name in enumerate(rows.entities) if name.startswith("bad-")]
    good = [at for at, name in enumerate(rows.entities) if name.startswith("calm-")]
    found, now = [], int(time.time() * 1e3) - 3_600_000
    for at in range(60):
        anomalous = at % 2 == 0
        row = bad[at * 5 % len(bad)] if anomalous else good[at * 31 % len(good)]
        verdict: Verdict = "anomalous" if anomalous != flip else "normal"
        end = int(rows.event_time[row])
        votes = (Vote("ann", verdict), Vote("bob", verdict))
        weight = 1.0 if anomalous else 20.0
        found.append(
            AdjudicatedLabel(
                f"l-{at}",
                f"i-{at}",
                rows.entities[row],
                end,
                verdict,
                weight,
                votes,
                "raw",
                0,
                row,
                end + 900,
                now + at,
            )
        )
    return found


def command(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    hyperstream = [sys.executable, "-m", "mesh.cli", *words]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(project),
        "MESH_CONFIG": str(project / "config"),
        "USER": "ann",
        "COLUMNS": "200",
    }
    return subprocess.run(
        hyperstream, capture_output=True, text=True, timeout=170, env=environment, cwd=project, check=False
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_the_commands_take_labels_to_a_champion(project: Path) -> None:
    done = command(project, "learn", "anomaly")
    assert done.returncode == 0, done.stdout + done.stderr[-1500:]
    assert "version 1 of pumps" in done.stdout
    assert "it is challenger" in done.stdout
    assert "benchmark-found" in done.stdout
    moved = command(project, "models", "alias", "pumps@champion", "1", "--reason", "first")
    assert "pumps@champion is version 1 now, it was nothing" in moved.stdout
    shown = command(project, "models", "show", "pumps@champion").stdout
    assert "offsets" in shown
    assert "champion from nothing to 1 by ann: first" in shown
    assert "champion" in command(project, "models", "list").stdout
    logged = AuditLog(open_database(database_url(None, project))).entries()
    assert [(one.actor, one.target) for one in logged] == [
        ("ann", "model:pumps@challenger"),
        ("ann", "model:pumps@champion"),
    ]


@pytest.mark.ray
def test_a_ray_task_trains_with_little_of_the_machine_and_gives_the_same_model(
    project: Path, cluster: None
) -> None:
    config = project / "config"
    policy = load_learning(config).schedule
    now = int(time.time() * 1e3)
    learned = run_on_ray(Job("retrain", str(config), "ann", now, policy.nice), policy)
    assert learned.version is not None
    assert learned.version.origin == "retrained"
    registry = open_registry(config)
    same = registry.get("pumps", 1)
    # The same labels and history, on another process: the same ensemble.
    assert learned.version.files["ensemble.npz"] == same.files["ensemble.npz"]
    assert learned.version.lineage.parent == 1


@pytest.mark.ray
def test_a_task_that_takes_too_long_is_ended(project: Path, cluster: None) -> None:
    config = project / "config"
    policy = replace(load_learning(config).schedule, timeout_ms=300)
    before = open_registry(config).numbers("pumps")
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.3 s"):
        run_on_ray(Job("retrain", str(config), "ann", int(time.time() * 1e3), policy.nice), policy)
    time.sleep(1)
    assert open_registry(config).numbers("pumps") == before


def test_it_is_nice_and_never_less_than_it_was() -> None:
    ask = (
        "import os; from mesh.learning.ray_job import be_polite; os.nice(5); be_polite({}); print(os.nice(0))"
    )
    own = os.nice(0)
    for wanted, expected in ((19, 19), (0, min(19, own + 5))):
        done = subprocess.run(
            [sys.executable, "-c", ask.format(wanted)], capture_output=True, text=True, check=True, timeout=60
        )
        assert int(done.stdout) == expected


def test_labels_turned_round_on_a_real_history_are_stopped(project: Path) -> None:
    config = project / "config"
    layout = Layout.of(load_telemetry(config))
    assert layout.digest == load_features(config).views["telemetry"].transform
    labels = project / "store/labels.jsonl"
    before = labels.read_text()
    turned = (
        before.replace('"anomalous"', '"?"').replace('"normal"', '"anomalous"').replace('"?"', '"normal"')
    )
    labels.write_text(turned)
    try:
        done = command(project, "learn", "anomaly")
    finally:
        labels.write_text(before)
    assert done.returncode == 1, done.stdout
    assert "failed" in done.stdout
    assert open_registry(config).aliases("pumps").points["champion"] == 1
