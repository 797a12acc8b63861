"""The RayService fits KubeRay's published schema, and says of Serve what serve_config.yaml says."""

import os
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = yaml.safe_load((ROOT / "k8s" / "rayservice.yaml").read_text())
SCHEMAS = Path(os.environ.get("MESH_SHARED", ROOT.parent / "shared")) / "schemas"


def crd_schema(name: str, version: str) -> dict:
    path = SCHEMAS / name
    if not path.exists():
        pytest.skip(f"{path} is not here: set MESH_SHARED to a folder that holds schemas/")
    crd = yaml.safe_load(path.read_text())
    return next(v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version)


def closed(schema: object) -> object:
    """The schema with unknown properties refused, as the API server's strict field validation does."""
    if isinstance(schema, dict):
        made = {key: closed(value) for key, value in schema.items()}
        takes_any = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
        if isinstance(made.get("properties"), dict) and not takes_any:
            made["additionalProperties"] = False
        return made
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


def errors(manifest: dict) -> list[str]:
    schema = closed(crd_schema("ray.io_rayservices.yaml", "v1"))
    assert isinstance(schema, dict)
    schema["properties"]["metadata"] = {"type": "object"}
    return [
        f"{error.json_path}: {error.message}"
        for error in jsonschema.Draft7Validator(schema).iter_errors(manifest)
    ]


def test_manifest_fits_the_published_schema():
    assert errors(MANIFEST) == []


def test_a_misspelt_key_is_found():
    broken = yaml.safe_load(
        (ROOT / "k8s" / "rayservice.yaml").read_text().replace("minReplicas:", "minimumReplicas:")
    )
    assert any("minimumReplicas" in error for error in errors(broken))


def test_serves_the_same_applications_as_serve_config():
    ours = yaml.safe_load(MANIFEST["spec"]["serveConfigV2"])
    local = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert ours["applications"] == local["applications"]
    assert ours["grpc_options"]["grpc_servicer_functions"] == local["grpc_options"]["grpc_servicer_functions"]


def test_every_container_is_bounded_and_unprivileged():
    cluster = MANIFEST["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        spec = group["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["resources"]["limits"]
            assert not container["image"].endswith(":latest")
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
