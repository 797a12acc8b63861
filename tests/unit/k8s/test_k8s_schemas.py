"""Every object of every overlay fits Kubernetes' own schema or its custom resource's."""

from functools import cache

import jsonschema
import kubernetes_validate
import pytest
import yaml
from overlays import OVERLAYS, SCHEMAS, built

from tests.fakes.machine import missing

KUBERNETES = "1.34"
CRDS = {
    "RayService": "ray.io_rayservices.yaml",
    "Kafka": "kafka.strimzi.io_kafkas.yaml",
    "KafkaNodePool": "kafka.strimzi.io_kafkanodepools.yaml",
    "KafkaTopic": "kafka.strimzi.io_kafkatopics.yaml",
    "PodMonitor": "monitoring.coreos.com_podmonitors.yaml",
    "PrometheusRule": "monitoring.coreos.com_prometheusrules.yaml",
}


def _object(properties: dict, *required: str) -> dict:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


# No published schema of KafkaUser is at hand: what Strimzi's manual says of the fields that are used here.
_RESOURCE = {
    "type": {"enum": ["topic", "group"]},
    "name": {"type": "string", "minLength": 1},
    "patternType": {"enum": ["literal", "prefix"]},
}
_OPERATION = {"enum": ["Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs", "All"]}
_ACL = _object(
    {
        "resource": _object(_RESOURCE, "type", "name", "patternType"),
        "operations": {"type": "array", "items": _OPERATION, "minItems": 1},
    },
    "resource",
    "operations",
)
_AUTHORIZATION = _object(
    {"type": {"const": "simple"}, "acls": {"type": "array", "items": _ACL}}, "type", "acls"
)
_AUTHENTICATION = _object({"type": {"enum": ["tls", "scram-sha-512"]}}, "type")
KAFKA_USER = _object(
    {"spec": _object({"authentication": _AUTHENTICATION, "authorization": _AUTHORIZATION})}, "spec"
)


@cache
def validator(kind: str, version: str) -> jsonschema.Draft7Validator:
    schema = KAFKA_USER if kind == "KafkaUser" else crd_schema(kind, version)
    properties = {**schema["properties"], "metadata": {"type": "object"}, "apiVersion": {}, "kind": {}}
    return jsonschema.Draft7Validator({**schema, "properties": properties})


def crd_schema(kind: str, version: str) -> dict:
    path = SCHEMAS / CRDS[kind]
    if not path.exists():
        missing(f"{path} is not here: set MESH_SHARED to a folder that holds schemas/")
    crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    found = next(v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version)
    made = closed(found)
    assert isinstance(made, dict)
    return made


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
    found = validator(manifest["kind"], manifest["apiVersion"].partition("/")[2]).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in found]


def is_custom(manifest: dict) -> bool:
    return manifest["kind"] in {*CRDS, "KafkaUser"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_custom_resource_fits_its_schema(overlay):
    custom = [one for one in built(overlay) if is_custom(one)]
    assert {one["kind"] for one in custom} >= {
        "RayService",
        "Kafka",
        "KafkaNodePool",
        "KafkaTopic",
        "KafkaUser",
        "PodMonitor",
    }
    wrong = {f"{one['kind']}/{one['metadata']['name']}": errors(one) for one in custom}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_other_object_fits_kubernetes(overlay):
    others = [one for one in built(overlay) if not is_custom(one)]
    assert len(others) >= 5
    for one in others:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_a_misspelt_key_is_found_in_a_custom_resource_and_in_another():
    service = next(one for one in built("dev") if one["kind"] == "RayService")
    group = {"groupName": "edge", "minimumReplicas": 1}
    broken = {**service, "spec": {"rayClusterConfig": {"workerGroupSpecs": [group]}}}
    assert any("minimumReplicas" in error for error in errors(broken))
    port = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(port, KUBERNETES, strict=True)
