"""Arithmetic: what the deployments declare fits the pods that are asked for, before anybody pays for a cluster to find out.

What is declared comes from the builders that Serve calls; what there is from `rayStartParams` and resource requests.
"""

import importlib
import math
from dataclasses import dataclass
from functools import cache

import pytest
import yaml
from overlays import OVERLAYS, ROOT, Pod, config_map, of_kind, pods
from ray.serve._private.build_app import build_app

MEBIBYTE = 2**20
REPLICA_MEMORY = 256 * MEBIBYTE
"""The most that a replica of ours was measured at, with room: docs/benchmarks.md has 254 MB for ingest, 177 MB for a router."""
RAY_MEMORY = 1_024 * MEBIBYTE
"""Raylet, agents and proxy of one node."""
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@dataclass(frozen=True)
class Demand:
    """What one deployment declares: of one replica, and how many there may be."""

    name: str
    cpus: float
    gpus: float
    resources: dict
    least: int
    most: int


def amount(text: str) -> float:
    """A Kubernetes quantity."""
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


@cache
def demands(overlay: str) -> tuple[Demand, ...]:
    """Of every deployment of every application, built in the environment of the overlay's pods."""
    serve = yaml.safe_load(of_kind(overlay, "RayService")["hyperstream-mesh"]["spec"]["serveConfigV2"])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in config_map(overlay, "hyperstream-environment").items():
            if name == "MESH_RULES_STORE":
                continue  # nothing was kept there yet, and a unit test asks no Redis
            patch.setenv(name, value)
        patch.setenv("MESH_CONFIG", str(ROOT / "config"))
        for application in serve["applications"]:
            module, _, builder = application["import_path"].partition(":")
            made = getattr(importlib.import_module(module), builder)(application["args"])
            overridden = {one["name"]: one for one in application.get("deployments", ())}
            built = build_app(made, name=application["name"], make_deployment_handle=lambda *_: None)
            found += [demand(one, overridden.get(one.name, {})) for one in built.deployments]
    return tuple(found)


def demand(deployment: object, overridden: dict) -> Demand:
    options = overridden.get("ray_actor_options") or deployment.ray_actor_options
    scaling = deployment._deployment_config.autoscaling_config
    fixed = deployment.num_replicas
    return Demand(
        deployment.name,
        options.get("num_cpus", 1),
        options.get("num_gpus", 0) or 0,
        options.get("resources", {}) or {},
        scaling.min_replicas if scaling else fixed,
        scaling.max_replicas if scaling else fixed,
    )


def groups(overlay: str) -> list[Pod]:
    return [pod for pod in pods(overlay) if pod.ray is not None and pod.name != "head"]


def room(pod: Pod) -> dict[str, float]:
    """What Ray may hand out on one pod of the group."""
    start = pod.ray["rayStartParams"]
    custom = yaml.safe_load(start.get("resources", "'{}'"))
    return {
        "cpu": float(start["num-cpus"]),
        "gpu": float(start.get("num-gpus", 0)),
        **{name: float(value) for name, value in yaml.safe_load(custom).items()},
    }


def fits(one: Demand, there: dict[str, float]) -> bool:
    return (
        one.cpus <= there["cpu"]
        and one.gpus <= there["gpu"]
        and all(value <= there.get(name, 0) for name, value in one.resources.items())
    )


@each_overlay
def test_ray_hands_out_no_more_than_kubernetes_keeps_for_the_pod(overlay):
    for pod in groups(overlay):
        (container,) = pod.spec["containers"]
        asked = container["resources"]["requests"]
        assert room(pod)["cpu"] <= amount(asked["cpu"]), pod.name
        assert room(pod)["gpu"] == amount(asked.get("nvidia.com/gpu", "0")), pod.name


@each_overlay
def test_the_head_takes_no_work(overlay):
    (head,) = [pod for pod in pods(overlay) if pod.name == "head"]
    assert head.ray["rayStartParams"]["num-cpus"] == "0"


@each_overlay
def test_every_deployment_fits_a_pod_of_some_group(overlay):
    assert {one.name for one in demands(overlay)} >= {"router", "anomaly", "ingest", "telemetry"}
    for one in demands(overlay):
        assert any(fits(one, room(pod)) for pod in groups(overlay)), one


@each_overlay
@pytest.mark.parametrize("count", ["least", "most"])
def test_all_of_them_fit_into_the_pods_that_there_may_be(overlay, count):
    bound = "minReplicas" if count == "least" else "maxReplicas"
    without_gpu = [one for one in demands(overlay) if not one.gpus]
    needed = sum(one.cpus * getattr(one, count) for one in without_gpu)
    there = sum(room(pod)["cpu"] * pod.ray[bound] for pod in groups(overlay) if not room(pod)["gpu"])
    assert needed <= there, f"{needed} CPUs declared, {there} in {bound}"
    gpus = sum(one.gpus * getattr(one, count) for one in demands(overlay))
    assert gpus <= sum(room(pod)["gpu"] * pod.ray[bound] for pod in groups(overlay))


@each_overlay
def test_each_pod_has_memory_for_as_many_replicas_as_its_cpus_let_in(overlay):
    smallest = min(one.cpus for one in demands(overlay))
    replicas = sum(one.most for one in demands(overlay))
    for pod in groups(overlay):
        (container,) = pod.spec["containers"]
        limit = amount(container["resources"]["limits"]["memory"])
        store = int(pod.ray["rayStartParams"]["object-store-memory"])
        most = min(math.floor(room(pod)["cpu"] / smallest), replicas)
        assert RAY_MEMORY + store + most * REPLICA_MEMORY <= limit, (pod.name, most)
        (shm,) = [one["emptyDir"] for one in pod.spec["volumes"] if one["name"] == "shm"]
        assert store < amount(shm["sizeLimit"]), pod.name


@each_overlay
def test_there_are_as_many_routers_as_pods_that_clients_reach(overlay):
    (edge,) = [pod for pod in groups(overlay) if pod.name == "edge"]
    (router,) = [one for one in demands(overlay) if one.name == "router"]
    assert router.resources == {"edge": 1}
    assert room(edge)["edge"] == 1
    sizes = {edge.ray[name] for name in ("replicas", "minReplicas", "maxReplicas")}
    assert sizes == {router.least} == {router.most}
    assert [pod.name for pod in groups(overlay) if "edge" in room(pod)] == ["edge"]


def test_a_model_with_a_gpu_goes_to_the_gpu_group_and_nowhere_else():
    heavy = Demand("heavy", 0.5, 1, {}, 0, 2)
    assert [pod.name for pod in groups("production") if fits(heavy, room(pod))] == ["gpu"]
    assert not any(fits(heavy, room(pod)) for pod in groups("dev"))


def test_production_survives_a_head_scales_and_upgrades_in_steps():
    spec = of_kind("production", "RayService")["hyperstream-mesh"]["spec"]
    cluster = spec["rayClusterConfig"]
    assert cluster["gcsFaultToleranceOptions"]["redisAddress"] == "redis://gcs-redis:6379"
    assert "gcs-redis" in of_kind("production", "StatefulSet")
    assert "gcs-redis" in of_kind("production", "Service")
    # An incremental upgrade needs the autoscaler and a Gateway.
    assert spec["upgradeStrategy"]["type"] == "NewClusterWithIncrementalUpgrade"
    assert spec["upgradeStrategy"]["clusterUpgradeOptions"]["gatewayClassName"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["authOptions"]["mode"] == "token"
