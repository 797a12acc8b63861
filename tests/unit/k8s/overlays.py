"""Both overlays as kubectl builds them, and the parts of them that tests look at."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from tests.fakes.machine import missing

ROOT = Path(__file__).resolve().parents[3]
OVERLAYS = ("dev", "production")
SCHEMAS = Path(os.environ.get("MESH_SHARED", ROOT.parent / "shared")) / "schemas"


@cache
def built(overlay: str) -> tuple[dict, ...]:
    if shutil.which("kubectl") is None:
        missing("kubectl is not installed (Debian: apt-get install kubernetes-client)")
    done = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "k8s" / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def of_kind(overlay: str, kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in built(overlay) if one["kind"] == kind}


def config_map(overlay: str, name: str) -> dict[str, str]:
    """The data of a ConfigMap by its name without the hash; there must be one."""
    found = [
        one["data"]
        for key, one in of_kind(overlay, "ConfigMap").items()
        if key == name or key.rpartition("-")[0] == name
    ]
    assert len(found) == 1, (name, list(of_kind(overlay, "ConfigMap")))
    return found[0]


@dataclass(frozen=True)
class Pod:
    """A pod template and how many pods are made of it."""

    name: str
    labels: dict
    spec: dict
    replicas: int
    ray: dict | None = None
    """The group of the RayService that it is of."""

    @property
    def containers(self) -> list[dict]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        return {
            port["name"]: port["containerPort"]
            for container in self.containers
            for port in container.get("ports", ())
        }


def pods(overlay: str) -> Iterator[Pod]:
    for kind in ("Deployment", "StatefulSet"):
        for name, one in of_kind(overlay, kind).items():
            template = one["spec"]["template"]
            yield Pod(name, template["metadata"]["labels"], template["spec"], one["spec"]["replicas"])
    head, *groups = ray_groups(overlay)
    yield _ray_pod("head", head, 1)
    for group in groups:
        yield _ray_pod(group["groupName"], group, group["replicas"])


def ray_groups(overlay: str) -> list[dict]:
    cluster = ray_cluster(overlay)
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def ray_cluster(overlay: str) -> dict:
    return of_kind(overlay, "RayService")["hyperstream-mesh"]["spec"]["rayClusterConfig"]


def _ray_pod(name: str, group: dict, replicas: int) -> Pod:
    template = group["template"]
    return Pod(name, template["metadata"]["labels"], template["spec"], replicas, group)


def matches(selector: dict, labels: dict) -> bool:
    """Whether a Kubernetes label selector takes `labels`; an empty one takes all."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(
        labels.get(one["key"]) in one["values"] if one["operator"] == "In" else one["key"] in labels
        for one in selector.get("matchExpressions", ())
    )
