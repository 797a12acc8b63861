"""What do the YAML files say? The one room that knows pydantic: files in, routing objects out.

`load_mesh` reads `models.yaml`, `routing.yaml` and `topics.yml` (as does `load_topics`), `load_telemetry` reads `telemetry.yaml`
(`read_telemetry` a file like it), `load_pipeline` `pipeline.yaml`, `load_alerts` `alerts.yaml`, `load_features`
`features.yaml`, `load_prices` `prices.yaml`, `load_learning` `learning.yaml`, `load_slos` `slos.yaml`, `load_review`
`review.yaml`, `load_scenario` and `load_scenarios` read
`scenarios/`, `check_rollouts` and `load_rollout` `rollouts/`. Every mistake in them is an
`InvalidConfig` with file, line, key, reason and, for a misspelt name, the nearest valid one.
"""

from mesh.spec.load import (
    load_alerts,
    load_features,
    load_learning,
    load_mesh,
    load_pipeline,
    load_prices,
    load_review,
    load_slos,
    load_telemetry,
    load_topics,
    read_telemetry,
)
from mesh.spec.mesh_config import MeshConfig
from mesh.spec.model_file import ModelSpec
from mesh.spec.problems import InvalidConfigs
from mesh.spec.rollouts import (
    check_rollouts,
    load_rollout,
    rollout_fits,
    rollout_names,
    rollouts_folder,
    rules_check,
)
from mesh.spec.scenarios import load_scenario, load_scenarios, scenarios_folder

__all__ = [
    "InvalidConfigs",
    "MeshConfig",
    "ModelSpec",
    "check_rollouts",
    "load_alerts",
    "load_features",
    "load_learning",
    "load_mesh",
    "load_pipeline",
    "load_prices",
    "load_review",
    "load_rollout",
    "load_scenario",
    "load_scenarios",
    "load_slos",
    "load_telemetry",
    "load_topics",
    "read_telemetry",
    "rollout_fits",
    "rollout_names",
    "rollouts_folder",
    "rules_check",
    "scenarios_folder",
]
