"""What is generated for Kubernetes is what the project's own files say, and stays so."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from overlays import OVERLAYS, ROOT, config_map, of_kind, ray_groups
from test_k8s_schemas import errors
from typer.testing import CliRunner

from ingest.config import IngestConfig
from mesh.cli.app import app
from mesh.cli.k8s import differing, read_project
from mesh.cli.ray_variables import RAY_VARIABLES
from mesh.kubernetes import rendered
from mesh.settings import Settings
from mesh.spec import load_mesh, load_pipeline
from serve.app import _ROUTER_OPTIONS, ROUTER

GENERATED = ROOT / "k8s" / "base" / "generated"
PROJECT = read_project(ROOT)

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def test_the_generated_folder_has_not_drifted():
    assert differing(rendered(PROJECT), GENERATED) == [], "run: hyperstream k8s render"


def test_the_command_writes_what_it_checks_and_names_what_drifted(tmp_path):
    out = tmp_path / "generated"
    runner, command = CliRunner(), ["k8s", "render", "--root", str(ROOT), "--out", str(out)]
    assert runner.invoke(app, command).exit_code == 0
    assert differing(rendered(PROJECT), out) == []
    (out / "topics.yaml").write_text("")
    (out / "left-over.yaml").write_text("")
    checked = runner.invoke(app, [*command, "--check"])
    assert checked.exit_code == 1
    assert "left-over.yaml, topics.yaml differ" in str(checked.exception)
    assert runner.invoke(app, command).exit_code == 0
    assert runner.invoke(app, [*command, "--check"]).exit_code == 0


@each_overlay
def test_serves_the_applications_of_serve_config_on_all_interfaces_of_the_pod(overlay):
    service = of_kind(overlay, "RayService")["hyperstream-mesh"]
    ours = yaml.safe_load(service["spec"]["serveConfigV2"])
    local = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert ours.pop("http_options") == {**local.pop("http_options"), "host": "0.0.0.0"}
    (router,) = ours["applications"][0].pop("deployments")
    assert ours == local
    assert router["name"] == ROUTER
    # Serve takes these options instead of the deployment's own, so they must repeat them.
    assert router["ray_actor_options"] == {**_ROUTER_OPTIONS["ray_actor_options"], "resources": {"edge": 1}}


def test_an_application_without_its_sensors_is_left_out(tmp_path):
    without = replace(
        PROJECT,
        serve_document={
            **PROJECT.serve_document,
            "applications": PROJECT.serve_document["applications"][:3],
        },
    )
    patch = yaml.safe_load(rendered(without)["serve-config.yaml"])
    names = [one["name"] for one in yaml.safe_load(patch["spec"]["serveConfigV2"])["applications"]]
    assert names == ["mesh", "graphql", "ingest"]


@each_overlay
def test_ray_s_variables_are_those_of_the_launcher_on_head_and_workers(overlay):
    variables = config_map(overlay, "hyperstream-ray")
    assert variables.items() <= RAY_VARIABLES.items()
    assert {
        "RAY_SERVE_ENABLE_HA_PROXY",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED",
        "RAY_SERVE_HAPROXY_NBTHREAD",
        "RAY_worker_niceness",
    } <= variables.keys()
    assert "RAY_ADDRESS" not in variables
    for group in ray_groups(overlay):
        (container,) = group["template"]["spec"]["containers"]
        taken = [one["configMapRef"]["name"].rpartition("-")[0] for one in container["envFrom"]]
        assert taken == ["hyperstream-ray", "hyperstream-environment"]


@each_overlay
def test_every_variable_is_one_that_the_mesh_takes(overlay):
    environment = config_map(overlay, "hyperstream-environment")
    Settings.from_environ(environment)
    IngestConfig.from_environ(environment)
    page = (ROOT / "docs" / "configuration.md").read_text() + (ROOT / "README.md").read_text()
    for name in environment:
        field = name.removeprefix("INGEST_").lower()
        known = name in page or name.startswith("KAFKA_CLIENT_") or field in IngestConfig.__dataclass_fields__
        assert known, name


@each_overlay
def test_the_mounted_folder_is_the_configuration_of_the_project(overlay, tmp_path):
    for group in ray_groups(overlay):
        spec = group["template"]["spec"]
        (volume,) = [one for one in spec["volumes"] if one["name"] == "config"]
        names = [one["configMap"]["name"] for one in volume["projected"]["sources"]]
        assert names[1] == "hyperstream-routing", "a hash in this name would make a new cluster of new rules"
        assert names[0].startswith("hyperstream-settings-")
        assert {*names} <= {*of_kind(overlay, "ConfigMap")}
        (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "config"]
        assert "subPath" not in mount, "the kubelet never updates those"
        assert {"name": "MESH_CONFIG", "value": mount["mountPath"]} in spec["containers"][0]["env"]
    folder = mounted(tmp_path / "config", overlay, config_map(overlay, "hyperstream-routing"))
    assert load_mesh(folder, Settings()).rules_hash == load_mesh(ROOT / "config", Settings()).rules_hash


def test_a_changed_routing_table_is_read_through_the_kubelet_s_links(tmp_path):
    before = mounted(tmp_path / "config", "dev", config_map("dev", "hyperstream-routing"))
    first = load_mesh(before, Settings()).rules_hash
    text = config_map("dev", "hyperstream-routing")["routing.yaml"].replace("percent: 10", "percent: 20")
    update(tmp_path / "config", "..2026_11_27", {"routing.yaml": text})
    after = load_mesh(tmp_path / "config", Settings())
    assert after.rules_hash != first
    assert (tmp_path / "config" / "routing.yaml").is_symlink()


def mounted(folder: Path, overlay: str, routing: dict[str, str]) -> Path:
    """A projected volume as the kubelet lays it out: every name a link to `..data`, itself a link to a dated folder."""
    data = {**config_map(overlay, "hyperstream-settings"), **routing}
    folder.mkdir()
    dated = folder / "..2026_11_26"
    dated.mkdir()
    for name, text in data.items():
        (dated / name).write_text(text)
        (folder / name).symlink_to(Path("..data") / name)
    (folder / "..data").symlink_to(dated.name)
    return folder


def update(folder: Path, name: str, changed: dict[str, str]) -> None:
    """The next version: a new dated folder, and one rename that moves `..data` there."""
    old = (folder / "..data").resolve()
    new = folder / name
    new.mkdir()
    for path in old.iterdir():
        (new / path.name).write_text(changed.get(path.name, path.read_text()))
    (folder / "..data_tmp").symlink_to(name)
    os.replace(folder / "..data_tmp", folder / "..data")  # noqa: PTH105 - the kubelet's own call


@each_overlay
def test_every_topic_is_there_with_its_dead_letters(overlay):
    settings, mesh = Settings(), load_mesh(ROOT / "config", Settings())
    topics = {one["spec"]["topicName"]: one for one in of_kind(overlay, "KafkaTopic").values()}
    suffix = IngestConfig().dead_letter_suffix
    names = [settings.kafka_inference_topic, *mesh.topics.values()]
    assert {*topics} == {*names, *(f"{name}{suffix}" for name in names)}
    clusters = of_kind(overlay, "Kafka")
    readers = IngestConfig.from_environ(config_map(overlay, "hyperstream-environment")).max_readers
    for name, topic in topics.items():
        assert topic["metadata"]["labels"]["strimzi.io/cluster"] in clusters
        assert topic["spec"]["partitions"] >= readers or name.endswith(suffix)
        assert topic["spec"]["config"]["max.message.bytes"] >= IngestConfig().max_record_bytes
        stamped = topic["spec"]["config"].get("message.timestamp.type")
        assert stamped == (None if name.endswith(suffix) else "LogAppendTime")


@each_overlay
def test_heads_of_the_audit_log_are_kept_for_ever_and_nobody_of_the_mesh_may_delete_them(overlay):
    audit = load_mesh(ROOT / "config", Settings()).topics["audit"]
    topics = {
        one["spec"]["topicName"]: one["spec"]["config"] for one in of_kind(overlay, "KafkaTopic").values()
    }
    assert [name for name, config in topics.items() if config["retention.ms"] == -1] == [audit]
    for user in of_kind(overlay, "KafkaUser").values():
        for acl in user["spec"]["authorization"]["acls"]:
            assert not {"Delete", "Alter", "All"} & {*acl["operations"]}


@each_overlay
def test_the_mesh_s_user_may_use_every_topic_and_group_of_its(overlay):
    acls = of_kind(overlay, "KafkaUser")["hyperstream-mesh"]["spec"]["authorization"]["acls"]
    topics = {one["spec"]["topicName"] for one in of_kind(overlay, "KafkaTopic").values()}
    mesh = load_mesh(ROOT / "config", Settings())
    groups = {Settings().kafka_consumer_group, load_pipeline(ROOT / "config", mesh).group}
    for kind, names, operations in (
        ("topic", topics, {"Read", "Write", "Describe"}),
        ("group", groups, {"Read", "Describe"}),
    ):
        for name in names:
            granted = [
                acl for acl in acls if acl["resource"]["type"] == kind and covers(acl["resource"], name)
            ]
            assert operations <= {one for acl in granted for one in acl["operations"]}, name


def covers(resource: dict, name: str) -> bool:
    prefix = resource["patternType"] == "prefix"
    return name.startswith(resource["name"]) if prefix else name == resource["name"]


@each_overlay
def test_kafka_keeps_as_many_copies_as_it_has_brokers_and_listens_where_the_mesh_asks(overlay):
    (kafka,) = of_kind(overlay, "Kafka").values()
    brokers = sum(
        pool["spec"]["replicas"]
        for pool in of_kind(overlay, "KafkaNodePool").values()
        if "broker" in pool["spec"]["roles"]
    )
    config = kafka["spec"]["kafka"]["config"]
    assert config["default.replication.factor"] <= brokers
    assert config["min.insync.replicas"] <= config["default.replication.factor"]
    listeners = {one["port"]: one for one in kafka["spec"]["kafka"]["listeners"]}
    environment = config_map(overlay, "hyperstream-environment")
    host, _, port = environment["KAFKA_BOOTSTRAP_SERVERS"].partition(":")
    assert host == f"{kafka['metadata']['name']}-kafka-bootstrap"
    assert listeners[int(port)]["tls"] is ("SSL" in environment.get("KAFKA_CLIENT_SECURITY_PROTOCOL", ""))


def test_alert_rules_become_one_prometheus_rule_of_all_groups():
    alert = {"alert": "Slow", "expr": "up == 0", "for": "5m", "labels": {"severity": "page"}}
    files = {
        "b.yml": {"groups": [{"name": "late", "rules": [alert]}]},
        "a.yml": {"groups": [{"name": "early", "interval": "30s", "rules": [alert]}]},
    }
    made = rendered(replace(PROJECT, alert_rules=files))
    rule = yaml.safe_load(made["alert-rules.yaml"])
    assert [group["name"] for group in rule["spec"]["groups"]] == ["early", "late"]
    assert errors(rule) == []
    assert "alert-rules.yaml" in yaml.safe_load(made["kustomization.yaml"])["resources"]


def test_rule_files_are_told_from_the_tests_beside_them(tmp_path):
    for name in ("config", "serve_config.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    rules = tmp_path / "observability" / "prometheus"
    rules.mkdir(parents=True)
    (rules / "alerts.yml").write_text("groups: [{name: a, rules: []}]")
    (rules / "alerts_test.yml").write_text("rule_files: [alerts.yml]\ntests: []")
    assert {*read_project(tmp_path).alert_rules} == {"alerts.yml"}


@each_overlay
def test_serve_takes_the_config(overlay):
    from ray.serve.schema import ServeDeploySchema

    service = of_kind(overlay, "RayService")["hyperstream-mesh"]
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    assert [one.name for one in config.applications] == ["mesh", "graphql", "ingest", "telemetry"]
