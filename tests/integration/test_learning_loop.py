"""From what people decide to who answers, on a real mesh under live traffic: a retrained model gets all rows unattended, one that
learned from flipped labels goes back, and one person who flips everything is caught before anything is learned from it.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
import ray
from learning_plant import BLIND, Plant, label_of, planted, uprooted
from loop_people import People, window
from ray_mesh import REDIS, RunningMesh, until
from stream_servers import RealRedis
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.learning.feedback.label_file import write_labels
from mesh.learning.feedback.labels import MemoryLabels, Vote
from mesh.records.audit_log import AuditLog
from mesh.records.database import database_url, open_database
from mesh.registry.configured import open_registry
from mesh.review.labels import DatabaseLabels

pytestmark = [pytest.mark.ray, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(900)]

ROUTING = "routes:\n  - {name: main, when: always, send: [pumps@1]}\nkey: asset\n"
PUMPS = """
  pumps@1:
    runtime: onnx
    path: registry:pumps@1
    inputs: [{name: features, datatype: FP32, shape: [-1, 84]}]
    outputs:
      - {name: score, datatype: FP32, shape: [-1]}
      - {name: confidence, datatype: FP32, shape: [-1]}
      - {name: contribution, datatype: FP32, shape: [-1, 4]}
    confidence: {output: confidence}
    score: {output: score}
"""
ROLLOUT = """
primary: pumps@champion
candidate: pumps@challenger
model: pumps
alert: {score_at_least: 0.998}
window: 500ms
freeze_when: [drift, degraded, breaker]
steps:
  - shadow: {min_pairs: 100, max: 2m}
  - canary: {percent: 30, min_rows: 200, hold: 30s, max: 2m}  # what people say counts after 15 s
  - promote: {keep_warm: 2s}
metrics:
  - {name: alerts, test: alert_disagreement, margin: 0.05, direction: either, due: shadow}
  - {name: apart, test: discordance, margin: 0.1, due: shadow}
  - {name: errors, test: error_rate, margin: 0.05}
  - {name: overrides, test: override_rate, margin: 0.2, dry_run: true}
"""
BAD, GOOD = range(0, 160, 8), range(0, 800, 40)
"""Twenty windows of each kind, which people judge."""


class Traffic:
    """Windows of all machines, without pause, and who answered them."""

    def __init__(self, url: str, plant: Plant) -> None:
        self._url = f"{url}/v2/models/default/infer"
        self._stop = threading.Event()
        self._rows = [
            (asset, values.astype(np.float32))
            for rows in (plant.calm, plant.bad)
            for asset, values in zip(rows.entities, rows.values, strict=True)
        ]
        self.failed: list[str] = []
        self.answered: Counter[str] = Counter()
        self.by_asset: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(2)]
        for thread in self._threads:
            thread.start()

    def _ask(self, seed: int) -> None:
        draw = random.Random(seed)
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                chosen = draw.choices(self._rows, k=20)
                reply = client.post(self._url, json={
                    "inputs": [{"name": "features", "shape": [20, 84], "datatype": "FP32",
                                "data": np.stack([values for _, values in chosen]).ravel().tolist()}],
                    "parameters": {"mesh_attributes": [{"asset": asset} for asset, _ in chosen]},
                })  # fmt: skip
                if reply.status_code != 200:
                    self.failed.append(reply.text[:300])
                    continue
                said = json.loads(reply.json()["parameters"]["mesh_answered_by"])
                each = [one["model"] for one in (said if isinstance(said, list) else [said] * 20)]
                self.answered.update(each)
                self.by_asset.update(zip((asset for asset, _ in chosen), each, strict=True))
                time.sleep(0.02)

    def recent(self) -> set[str]:
        """Who answers now."""
        self.answered.clear()
        time.sleep(1.0)
        return set(self.answered)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(65)


class Loop:
    """The mesh, its plant and its people, and what one asks of them."""

    def __init__(self, mesh: RunningMesh, plant: Plant, people: People) -> None:
        self.mesh, self.plant, self.people = mesh, plant, people
        self.registry = open_registry(mesh.config_dir)
        self._truths: list = []

    def command(self, *words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, [*words], catch_exceptions=False)
        assert (done.exit_code != 0) is fails, done.output
        return done.stdout

    def scheduled(self) -> str:
        """What the schedule says when it looks once, on the mesh's own Ray."""
        address = ray.get_runtime_context().gcs_address
        words = ["learn", "schedule", "--once", "--address", address, "--url", self.mesh.lane]
        done = subprocess.run(
            [sys.executable, "-m", "mesh.cli", *words],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def detail(self) -> dict:
        reply = httpx.get(f"{self.mesh.lane}/rollouts/pumps", timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def ended(self, seconds: float = 300) -> dict:
        over = ("Promoted", "RolledBack", "Aborted", "Paused")
        until(
            lambda: self.detail()["rollout"]["state"] in over,
            seconds,
            lambda: json.dumps(self.detail())[:3000],
        )
        return self.detail()

    def settled(self) -> None:
        """Wait for the mesh to have its Redis, and for the rollout before to let go of its old model."""
        rollouts = f"{self.mesh.lane}/rollouts"
        until(lambda: httpx.get(rollouts, timeout=60).status_code == 200, 60)
        if httpx.get(rollouts, timeout=60).json()["rollouts"]:
            until(lambda: not self.detail()["rollout"]["warm"], 60)

    def start(self) -> None:
        assert "Pending" in self.command("rollout", "start", "pumps", "--as", "olu", "--url", self.mesh.lane)

    def routes(self) -> str:
        return httpx.get(f"{self.mesh.lane}/mesh/rules", timeout=60).json()["routing"]

    def logged(self) -> list[tuple[str, str]]:
        database = open_database(database_url(None, self.mesh.config_dir.parent))
        try:
            return [(one.actor, f"{one.action} {one.target}") for one in AuditLog(database).entries()]
        finally:
            database.close()

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Who carries each label that stands, by its id."""
        database = open_database(database_url(None, self.mesh.config_dir.parent))
        try:
            return {one.id: one.actors for one in DatabaseLabels(database).labels().labels}
        finally:
            database.close()

    def truth_is_told(self) -> None:
        """Ann and bob judge forty windows as they are."""
        if not self._truths:
            bad = [window(self.plant.bad, row, "pumps@1", flagged=True) for row in BAD]
            good = [window(self.plant.calm, row, "pumps@1", flagged=False) for row in GOOD]
            self._truths = [one for pair in zip(bad, good, strict=True) for one in pair]
            self.people.offer(self._truths)
            for name in ("ann", "bob"):
                self.people.judge(name, self._truths)


def put(mesh: RunningMesh, **change: str) -> None:
    reply = httpx.put(f"{mesh.lane}/mesh/rules", json={"actor": "test", **change}, timeout=300)
    assert reply.status_code == 200, reply.text[:2000]


@pytest.fixture(scope="module")
def loop(mesh_on_ray: RunningMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The session's mesh with a Redis, a plant whose model of calm days is champion and answers, and three people."""
    redis = RealRedis(tmp_path_factory.mktemp("redis"), REDIS)
    redis.start()
    mesh, config = mesh_on_ray, mesh_on_ray.config_dir
    before = httpx.get(f"{mesh.lane}/mesh/rules", timeout=60).json()
    plant, people = planted(config), People(mesh.lane)
    patch = pytest.MonkeyPatch()
    patch.setenv("MESH_CONFIG", str(config))
    patch.setenv("USER", "kim")
    try:
        plant.learning("review")
        plant.store(plant.calm)
        made = Loop(mesh, plant, people)
        assert "version 1 of pumps" in made.command("learn", "anomaly")
        made.command("models", "alias", "pumps@champion", "1", "--reason", "calm days")
        plant.store(plant.bad.take(np.array(BAD)), len(plant.calm))
        put(mesh, models=before["models"] + PUMPS)
        put(mesh, routing=ROUTING)
        (config / "rollouts").mkdir()
        (config / "rollouts/pumps.yaml").write_text(ROLLOUT)
        for name, role in (("ann", "analyst"), ("bob", "analyst"), ("eve", "operator")):
            people.join(name, role)
        yield made
    finally:
        put(mesh, routing=before["routing"], models=before["models"])
        patch.undo()
        people.close()
        uprooted(plant)
        redis.kill()


@pytest.fixture
def traffic(loop: Loop) -> Iterator[Traffic]:
    traffic = Traffic(loop.mesh.lane, loop.plant)
    yield traffic
    traffic.close()


def test_what_people_decided_becomes_a_model_that_answers_all_rows_unattended(
    loop: Loop, traffic: Traffic
) -> None:
    loop.truth_is_told()
    loop.plant.learning("review")
    loop.settled()
    said = loop.scheduled()
    assert "it is challenger" in said
    made = loop.registry.get("pumps", "challenger")
    assert len(made.lineage.labels) == 28  # of forty; the newest three in ten are the gate's
    assert {one.gate for one in made.gates} >= {"feedback", "labels", "benchmark-found", "parity-flips"}
    old, new = f"pumps@{made.lineage.parent}", f"pumps@{made.number}"
    assert f"rollout pumps: {new} for {old}" in said
    until(lambda: loop.detail()["rollout"]["state"] == "Progressing", 150, lambda: str(loop.detail())[:3000])
    seen = [window(loop.plant.bad, row, arm, flagged=True, twice=False) for row, arm in ((1, old), (2, new))]
    loop.people.offer(seen)
    loop.people.judge("ann", seen)
    until(lambda: traffic.recent() == {old, new}, 10)
    shares = Counter(traffic.by_asset.values())
    after = loop.ended()
    assert after["rollout"]["state"] == "Promoted", after
    assert shares[new] < shares[old]  # about three in ten machines, always the same ones
    assert [move["action"] for move in after["history"]] == [
        "start",
        "shadow",
        "progress",
        "promote",
        "finish",
    ]
    assert {move["actor"] for move in after["history"][1:]} == {"mesh"}
    metrics = {one["name"]: one for one in after["evidence"]["metrics"]}
    assert {metrics[name]["verdict"] for name in ("alerts", "apart", "errors")} == {"success"}
    assert metrics["overrides"]["samples"] == 1  # of either arm: what ann confirmed
    until(lambda: traffic.recent() == {new}, 10)
    assert traffic.failed == []
    assert loop.registry.aliases("pumps").points["champion"] == made.number
    logged = loop.logged()
    assert ("kim", "rollouts.start rollout:pumps") in logged
    assert [what for who, what in logged if who in ("kim", "mesh") and what.startswith("rollout.")] == [
        f"rollout.{action} rollout:pumps" for action in ("start", "shadow", "progress", "promote", "finish")
    ]
    assert ("rollout:pumps", "models.alias model:pumps@champion") in logged


def test_a_model_that_learned_from_flipped_labels_is_rolled_back_and_says_why(
    loop: Loop, traffic: Traffic
) -> None:
    loop.settled()
    champion = loop.registry.aliases("pumps").points["champion"]
    before = loop.routes()
    turned = [label_of(loop.plant.bad, row, n, "anomalous") for n, row in enumerate(BAD)]
    turned = [
        replace(one, verdict="normal", votes=(Vote("ann", "normal"), Vote("bob", "normal"))) for one in turned
    ]
    write_labels(Path(loop.mesh.config_dir.parent, "store/turned.jsonl"), MemoryLabels(turned))
    loop.plant.learning("store/turned.jsonl", BLIND)
    assert "it is challenger" in loop.command("learn", "anomaly")
    worse = f"pumps@{loop.registry.get('pumps', 'challenger').number}"
    loop.start()
    after = loop.ended()
    assert after["rollout"]["state"] == "RolledBack", after
    assert after["rollout"]["candidate"] == worse
    assert after["rollout"]["reason"].split(":")[0] in ("alerts", "apart")
    moves = {move["action"]: datetime.fromisoformat(move["at"]) for move in after["history"]}
    assert (moves["rolled_back"] - moves["fail"]).total_seconds() < 10
    until(lambda: traffic.recent() == {f"pumps@{champion}"}, 10)
    assert loop.routes() == before
    assert traffic.failed == []
    assert loop.registry.aliases("pumps").points["champion"] == champion
    assert ("mesh", "rollout.rolled_back rollout:pumps") in loop.logged()


def test_one_person_who_flips_everything_is_caught_by_the_others(loop: Loop) -> None:
    """Eve is operator, so what she says settles a window; of some the others judged before her, and of some nobody else."""
    loop.truth_is_told()
    shared = [window(loop.plant.calm, row + 1, "pumps@1", flagged=False) for row in list(GOOD)[:12]]
    alone = [window(loop.plant.calm, row + 2, "pumps@1", flagged=False, twice=False) for row in GOOD]
    loop.people.offer([*shared, *alone])
    loop.people.judge("ann", shared)
    loop.people.judge("eve", [*shared, *alone], turned=True)
    hers = {label for label, actors in loop.labels().items() if actors == ("eve",)}
    assert len(hers) == len(shared) + len(alone)
    loop.plant.learning("review")
    said = loop.command("learn", "anomaly")
    assert "32 left out: rests on eve alone: agrees with the others on 0 of 12 items" in said
    made = loop.registry.get("pumps", max(loop.registry.numbers("pumps")))
    assert made.passed
    assert made.lineage.labels
    assert not hers & set(made.lineage.labels)
