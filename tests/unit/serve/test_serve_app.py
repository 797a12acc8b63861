from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from serve.app import build, host_options

MODELS = """
models:
  fixed: {runtime: identity, num_cpus: 0.5}
  elastic:
    runtime: identity
    scaling: {min_replicas: 0, max_replicas: 4, target_ongoing_requests: 8, upscale_delay_s: 1, downscale_delay_s: 9}
    env: {OMP_NUM_THREADS: "2"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "models.yaml").write_text(MODELS)
    (folder / "routing.yaml").write_text('routes: [{name: all, when: "always", send: [fixed]}]')
    return folder


def options(config: Path, model: str) -> dict[str, object]:
    from mesh.settings import Settings
    from mesh.spec import load_mesh

    return host_options(load_mesh(config, Settings()).models[model])


def test_a_model_is_a_deployment_of_its_own_name(config: Path) -> None:
    fixed = options(config, "fixed")
    assert fixed["name"] == "fixed"
    assert fixed["num_replicas"] == 1
    assert fixed["ray_actor_options"] == {"num_cpus": 0.5, "num_gpus": 0.0}


def test_scaling_becomes_serves_own_with_our_policy(config: Path) -> None:
    elastic = options(config, "elastic")
    scaling = elastic["autoscaling_config"]
    assert isinstance(scaling, dict)
    assert (scaling["min_replicas"], scaling["initial_replicas"], scaling["max_replicas"]) == (0, 1, 4)
    assert (scaling["target_ongoing_requests"], scaling["upscale_delay_s"], scaling["downscale_delay_s"]) == (
        8,
        1,
        9,
    )
    assert scaling["policy"] == {"policy_function": "mesh.cluster.autoscaling:replicas_for_load"}
    assert "num_replicas" not in elastic


def test_a_models_variables_reach_its_replicas(config: Path) -> None:
    actor = options(config, "elastic")["ray_actor_options"]
    assert isinstance(actor, dict)
    assert actor["runtime_env"] == {"env_vars": {"OMP_NUM_THREADS": "2"}}


def test_a_model_may_not_take_the_routers_name(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_CONFIG", raising=False)
    (config / "models.yaml").write_text("models: {router: {runtime: identity}}")
    (config / "routing.yaml").unlink()
    with pytest.raises(InvalidConfig, match=r"models\.router: is the router's name"):
        build({"config": str(config)})


def test_a_mistake_in_the_views_stops_the_start(config: Path) -> None:
    (config / "features.yaml").write_text("views: {telemetry: {ttl_s: -1}}")
    with pytest.raises(InvalidConfig, match=r"features\.yaml:1: views\.telemetry\.ttl_s: must be above 0"):
        build({"config": str(config)})


@pytest.mark.parametrize(("text", "routers"), [("", 1), ("3", 3)])
def test_as_many_routers_as_are_asked_for(
    config: Path, monkeypatch: pytest.MonkeyPatch, text: str, routers: int
) -> None:
    monkeypatch.setenv("MESH_ROUTERS", text)
    router = build({"config": str(config)})._bound_deployment
    assert (router.name, router.num_replicas) == ("router", routers)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "٣"])
def test_a_wrong_number_of_routers_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MESH_ROUTERS", text)
    with pytest.raises(InvalidConfig, match="MESH_ROUTERS"):
        build({"config": str(config)})
