"""What do the YAML files say? The one room that knows pydantic: files in, routing objects out.

`load_mesh` reads `models.yaml`, `routing.yaml` and `topics.yml`, `load_telemetry` reads `telemetry.yaml`,
`load_pipeline` `pipeline.yaml`, `load_features` `features.yaml`. Every mistake in
them is an `InvalidConfig` with file, line, key, reason and, for a misspelt name, the nearest valid one.
"""

from mesh.spec.load import load_features, load_mesh, load_pipeline, load_telemetry
from mesh.spec.mesh_config import MeshConfig
from mesh.spec.model_file import ModelSpec
from mesh.spec.problems import InvalidConfigs

__all__ = [
    "InvalidConfigs",
    "MeshConfig",
    "ModelSpec",
    "load_features",
    "load_mesh",
    "load_pipeline",
    "load_telemetry",
]
