"""Rollouts on a real mesh under live traffic: a good candidate gets all rows unattended, a worse one goes back and says why."""

import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
from ray_mesh import REDIS, RunningMesh, until
from stream_servers import RealRedis
from typer.testing import CliRunner

from mesh.cli.app import app

pytestmark = [pytest.mark.ray, pytest.mark.redis, pytest.mark.slow]

ASSETS = 60
ROUTING = "routes:\n  - {name: main, when: always, send: [alarm]}\nkey: asset\n"
MODELS = tuple(
    f"""
  {name}:
    runtime: python
    path: ray_models:Alarm
    options: {{flipped: {flipped}}}
    inputs: [{{name: x, datatype: FP32, shape: [-1, 2]}}]
    outputs: [{{name: score, datatype: FP32, shape: [-1]}}]
    score: {{output: score}}
"""
    for name, flipped in (("alarm", "false"), ("alarm@good", "false"), ("alarm@worse", "true"))
)
ROLLOUT = """
primary: alarm
candidate: alarm@{candidate}
alert: {{score_at_least: 0.9}}
window: 500ms
steps:
  - shadow: {{min_pairs: 100, max: 2m}}
  - canary: {{percent: 30, min_rows: 200, hold: 4s, max: 2m}}
  - promote: {{keep_warm: 1h}}
metrics:
  - {{name: alerts, test: alert_disagreement, margin: 0.05, direction: either, due: shadow}}
  - {{name: apart, test: discordance, margin: 0.1, due: shadow}}
  - {{name: errors, test: error_rate, margin: 0.05}}
"""


class Traffic:
    """Rows of sixty assets, without pause, and who answered them."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v2/models/default/infer"
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.answered: Counter[str] = Counter()
        self.by_asset: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(2)]
        for thread in self._threads:
            thread.start()

    def _ask(self, seed: int) -> None:
        values = random.Random(seed)
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                assets = [f"pump-{values.randrange(ASSETS)}" for _ in range(10)]
                rows = [[values.random(), 0.0] for _ in assets]
                reply = client.post(self._url, json={
                    "inputs": [{"name": "x", "shape": [10, 2], "datatype": "FP32", "data": rows}],
                    "parameters": {"mesh_attributes": [{"asset": asset} for asset in assets]},
                })  # fmt: skip
                if reply.status_code != 200:
                    self.failed.append(reply.text[:300])
                    continue
                said = json.loads(reply.json()["parameters"]["mesh_answered_by"])
                each = said if isinstance(said, list) else [said] * 10
                self.answered.update(one["model"] for one in each)
                self.by_asset.update(zip(assets, (one["model"] for one in each), strict=True))
                time.sleep(0.02)

    def recent(self) -> set[str]:
        """Who answers now."""
        self.answered.clear()
        time.sleep(1.0)
        return set(self.answered)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture(scope="module")
def mesh(mesh_on_ray: RunningMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """The session's mesh with three more models and a Redis; its rules are put back afterwards."""
    redis = RealRedis(tmp_path_factory.mktemp("redis"), REDIS)
    redis.start()
    folder = mesh_on_ray.config_dir / "rollouts"
    before = httpx.get(f"{mesh_on_ray.lane}/mesh/rules", timeout=10).json()
    try:
        for count in range(1, len(MODELS) + 1):
            put(mesh_on_ray, models=before["models"] + "".join(MODELS[:count]))
        put(mesh_on_ray, routing=ROUTING)
        folder.mkdir()
        for candidate in ("good", "worse"):
            (folder / f"{candidate}.yaml").write_text(ROLLOUT.format(candidate=candidate))
        yield mesh_on_ray
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        put(mesh_on_ray, routing=before["routing"], models=before["models"])
        redis.kill()


def put(mesh: RunningMesh, **change: str) -> None:
    reply = httpx.put(f"{mesh.lane}/mesh/rules", json={"actor": "test", **change}, timeout=150)
    assert reply.status_code == 200, reply.text[:2000]


@pytest.fixture
def traffic(mesh: RunningMesh) -> Iterator[Traffic]:
    traffic = Traffic(mesh.lane)
    yield traffic
    traffic.close()


def rollout(mesh: RunningMesh, *words: str) -> str:
    done = CliRunner().invoke(app, ["rollout", *words, "--url", mesh.lane], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def detail(mesh: RunningMesh, name: str) -> dict:
    reply = httpx.get(f"{mesh.lane}/rollouts/{name}", timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def started(mesh: RunningMesh, name: str) -> None:
    """Start it; the mesh may still be waiting for its Redis."""
    until(lambda: httpx.get(f"{mesh.lane}/rollouts", timeout=10).status_code == 200, 20)
    assert "Pending" in rollout(mesh, "start", name, "--as", "ann")


def ended(mesh: RunningMesh, name: str, seconds: float = 60) -> dict:
    def over() -> bool:
        return detail(mesh, name)["rollout"]["state"] in ("Promoted", "RolledBack", "Aborted", "Paused")

    until(over, seconds, lambda: json.dumps(detail(mesh, name))[:3000])
    return detail(mesh, name)


def test_a_worse_candidate_is_rolled_back_within_ten_seconds_and_says_why(
    mesh: RunningMesh, traffic: Traffic
) -> None:
    started(mesh, "worse")
    after = ended(mesh, "worse")
    assert after["rollout"]["state"] == "RolledBack"
    assert after["rollout"]["reason"].split(":")[0] in ("alerts", "apart")
    moves = {move["action"]: datetime.fromisoformat(move["at"]) for move in after["history"]}
    assert (moves["rolled_back"] - moves["fail"]).total_seconds() < 10
    assert (moves["rolled_back"] - moves["start"]).total_seconds() < 30
    until(lambda: traffic.recent() == {"alarm"}, 10)
    assert "alarm@worse" not in httpx.get(f"{mesh.lane}/mesh/rules", timeout=10).json()["routing"]
    assert traffic.failed == []


def test_a_good_candidate_gets_all_rows_unattended_and_can_still_be_taken_back(
    mesh: RunningMesh, traffic: Traffic
) -> None:
    started(mesh, "good")
    until(lambda: detail(mesh, "good")["rollout"]["state"] == "Progressing", 60)
    until(lambda: traffic.recent() == {"alarm", "alarm@good"}, 10)
    shares = Counter(traffic.by_asset.values())
    after = ended(mesh, "good")
    assert after["rollout"]["state"] == "Promoted", after
    assert shares["alarm@good"] < shares["alarm"]  # about three in ten assets, always the same ones
    assert [move["action"] for move in after["history"]] == [
        "start",
        "shadow",
        "progress",
        "promote",
        "finish",
    ]
    assert {move["actor"] for move in after["history"][1:]} == {"mesh"}
    assert {metric["verdict"] for metric in after["evidence"]["metrics"]} == {"success"}
    until(lambda: traffic.recent() == {"alarm@good"}, 10)
    assert "Promoted" in rollout(mesh, "status", "good")
    rollout(mesh, "abort", "good", "--as", "ann", "--note", "second thoughts")
    until(lambda: detail(mesh, "good")["rollout"]["state"] == "Aborted", 15)
    until(lambda: traffic.recent() == {"alarm"}, 10)
    assert traffic.failed == []
