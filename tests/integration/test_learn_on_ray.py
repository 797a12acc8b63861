"""From labels to a challenger on real parts: a Delta history, a training as a Ray task that gives way, the commands."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from learning_plant import joined, label_of, planted
from ray_mesh import RunningMesh
from typer.testing import CliRunner, Result

from mesh.cli.app import app
from mesh.errors import DeadlineExceeded
from mesh.learning.anomaly.windows import Layout
from mesh.learning.feedback.label_file import write_labels
from mesh.learning.feedback.labels import AdjudicatedLabel, MemoryLabels
from mesh.learning.ray_job import Job, run_on_ray
from mesh.records.audit_log import AuditLog
from mesh.records.database import database_url, open_database
from mesh.registry.configured import open_registry
from mesh.spec import load_features, load_learning, load_telemetry
from mesh.stores.rows import FeatureBatch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plant of four sensors with a history of healthy and faulty machines, and what two people said of it."""
    root = tmp_path_factory.mktemp("plant")
    plant = planted(root / "config")
    plant.learning("store/labels.jsonl")
    batch = joined(plant.calm, plant.bad)
    plant.store(batch)
    write_labels(root / "store/labels.jsonl", MemoryLabels(told(batch)))
    return root


def told(rows: FeatureBatch) -> list[AdjudicatedLabel]:
    bad = [at for at, name in enumerate(rows.entities) if name.startswith("bad-")]
    good = [at for at, name in enumerate(rows.entities) if name.startswith("calm-")]
    found = []
    for at in range(60):
        anomalous = at % 2 == 0
        row = bad[at * 5 % len(bad)] if anomalous else good[at * 31 % len(good)]
        found.append(label_of(rows, row, at, "anomalous" if anomalous else "normal"))
    return found


def command(project: Path, *words: str) -> Result:
    """In this process: a program of its own would spend its time on imports."""
    environment = {"MESH_CONFIG": str(project / "config"), "USER": "ann", "COLUMNS": "200"}
    return CliRunner().invoke(app, [*words], env=environment)


def test_the_commands_take_labels_to_a_champion(project: Path) -> None:
    done = command(project, "learn", "anomaly")
    assert done.exit_code == 0, done.output
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
    project: Path, mesh_on_ray: RunningMesh
) -> None:
    config = project / "config"
    policy = load_learning(config).schedule
    now = int(time.time() * 1e3)
    learned = run_on_ray(Job("retrain", str(config), "ann", now, 12), policy)
    assert learned.version is not None
    assert learned.version.origin == "retrained"
    registry = open_registry(config)
    same = registry.get("pumps", 1)
    # The same labels and history, on another process: the same ensemble.
    assert learned.version.files["ensemble.npz"] == same.files["ensemble.npz"]
    assert learned.version.lineage.parent == 1


@pytest.mark.ray
def test_a_task_that_takes_too_long_is_ended(project: Path, mesh_on_ray: RunningMesh) -> None:
    config = project / "config"
    policy = replace(load_learning(config).schedule, timeout_ms=300)
    before = open_registry(config).numbers("pumps")
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.3 s"):
        run_on_ray(Job("retrain", str(config), "ann", int(time.time() * 1e3), 12), policy)
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
    assert done.exit_code == 1, done.output
    assert "failed" in done.stdout
    assert open_registry(config).aliases("pumps").points["champion"] == 1
