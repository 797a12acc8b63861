"""The shipped rules, models and data together: every route and role fires."""

from collections import Counter
from pathlib import Path

import numpy as np

from mesh.learning.sample import read_sample
from mesh.routing.cascade import cascade
from mesh.routing.types import Batch
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.settings import Settings
from mesh.spec import load_mesh

ROOT = Path(__file__).resolve().parents[3]


def test_every_route_and_role_fires_on_the_shipped_sample() -> None:
    mesh = load_mesh(ROOT / "config", Settings())
    unit, cycle, features = read_sample(ROOT / "data/cmapss_fd001_sample.csv.gz")
    rollout = np.random.default_rng(1).random(len(unit)) < 0.3
    ids = [f"{u}-{c}" for u, c in zip(unit, cycle, strict=True)]
    batch = Batch({"features": features}, ids, attributes={"rollout": rollout.tolist()})
    artifacts = {name: mesh.models[name].artifact() for name in mesh.tables["default"].models}
    scorers = {name: Scorer(open_runtime(artifact), artifact) for name, artifact in artifacts.items()}
    steps = cascade(mesh.tables["default"], mesh.facts, batch)
    results = None
    while True:
        try:
            step = next(steps) if results is None else steps.send(results)
        except StopIteration as done:
            answer, shadows = done.value.answer, done.value.shadows
            break
        results = [scorers[call.model].score({"features": features[call.rows]}) for call in step.calls]
    by_origin = Counter(answer.origins[index] for index in answer.origin_of)
    share = {(o.model, o.route, o.role): n / len(unit) for o, n in by_origin.items()}
    assert set(share) == {
        ("rules", "baseline", "primary"),
        ("anomaly", "hybrid-anomaly", "primary"),
        ("anomaly", "canary-rollout", "canary"),
    }
    assert 0.01 < share["anomaly", "canary-rollout", "canary"] < 0.06
    assert share["rules", "baseline", "primary"] > 0.3
    assert share["anomaly", "hybrid-anomaly", "primary"] > 0.3
    assert not answer.failed
    assert not answer.degraded.any()
    assert [(shadow.model, shadow.route) for shadow in shadows] == [("degrader", "hybrid-anomaly")]
    assert len(shadows[0].rows) / len(unit) > 0.5
