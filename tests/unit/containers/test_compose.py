"""docker-compose.yml fits the compose schema, names only what is there, and every file it mounts parses in its own tool."""

import json
import re
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from mesh.settings import Settings
from mesh.spec import load_features
from mesh.spec.document import read_document
from tests.fakes.machine import program

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SMALL = {"kafka", "redis", "mesh"}
MADE_ELSEWHERE = {"observability/prometheus", "observability/grafana"}


def mounts() -> list[tuple[str, str, str]]:
    """Service, source below the project, target; of every bind mount."""
    found = []
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("./"):
                found.append((name, source.removeprefix("./"), target))
    return found


def test_it_fits_the_compose_specification():
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    document = json.loads(schema.read_text())
    validator = jsonschema.validators.validator_for(document)(document)
    assert [f"{one.json_path}: {one.message}" for one in validator.iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"mesh": {"imagee": "x"}}}
    assert list(validator.iter_errors(broken)), "the schema lets everything through"


def test_the_profiles_are_small_and_full_and_each_stands_by_itself():
    profiles = {name: set(service["profiles"]) for name, service in SERVICES.items()}
    assert {name for name, found in profiles.items() if "small" in found} == SMALL
    assert all("full" in found for found in profiles.values())
    for name, service in SERVICES.items():
        for other in service.get("depends_on", ()):
            assert profiles[name] <= profiles[other], f"{name} starts without {other}"


def test_who_is_waited_for_can_say_that_it_is_well():
    for service in SERVICES.values():
        waited = service.get("depends_on", {})
        for other, how in waited.items() if isinstance(waited, dict) else ():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]


def test_a_redis_that_answers_with_an_error_is_not_well():
    assert SERVICES["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "-e", "ping"]


def test_images_are_pinned_or_ours():
    for name, service in SERVICES.items():
        image = service["image"]
        if image.startswith("hyperstream-mesh:"):
            assert image == f"hyperstream-mesh:${{MESH_TAG:-{VERSION}}}", name
        else:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", image), image


def test_the_image_target_is_a_stage_of_the_dockerfile():
    stages = re.findall(r"^FROM .+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert SERVICES["mesh"]["build"]["target"] == "${MESH_TARGET:-slim}"
    assert {"slim", "full"} <= {*stages}


def test_ports_are_open_on_the_loopback_only_and_none_twice():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    outside = [port.split(":")[1] for port in published]
    assert len(outside) == len(set(outside))
    exposed = re.search(r"^EXPOSE (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed is not None
    assert {port.split(":")[2] for port in SERVICES["mesh"]["ports"]} == {*exposed[1].split()}


def test_every_container_is_bounded_and_ours_write_nothing_but_in_memory():
    for name, service in SERVICES.items():
        assert "mem_limit" in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name in ("mesh", "features", "console"):
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["init"] is True
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 20, "draining takes up to 20 s"


def test_addresses_name_services_of_this_file():
    hosts = set(re.findall(r"(?:https?|redis)://([a-z][\w-]*):\d", TEXT)) - {"localhost"}
    for path in ("docker/prometheus.yml", "docker/otel-collector.yaml", "docker/grafana/datasources.yaml"):
        hosts |= set(re.findall(r"[\"/ ]([a-z][a-z0-9-]*):\d{4,5}\b", (ROOT / path).read_text()))
    assert {"redis", "s3", "mesh", "prometheus", "jaeger"} <= hosts <= {*SERVICES}


def test_kafka_leads_programs_inside_and_outside_to_where_they_reach_it():
    environment = SERVICES["kafka"]["environment"]
    listens = dict(one.split("://") for one in environment["KAFKA_LISTENERS"].split(","))
    says = dict(one.split("://") for one in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert says["INSIDE"] == SERVICES["mesh"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    (published,) = SERVICES["kafka"]["ports"]
    _, outside, inside = published.split(":")
    assert says["OUTSIDE"] == f"localhost:{outside}"
    assert listens["OUTSIDE"] == f":{inside}"
    assert {*says} <= {*environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].replace(":", ",").split(",")}


@pytest.mark.parametrize(("service", "source", "target"), mounts())
def test_every_mounted_file_is_there(service, source, target):
    there = (ROOT / source).exists()
    if not there and source in MADE_ELSEWHERE:
        pytest.skip(f"{source} is made by another part")
    assert there, f"{service}: {source} for {target}"


def test_in_full_one_container_writes_the_history_that_the_mesh_reads():
    history = "s3://hyperstream/features"
    assert (
        f"MESH_FEATURES_HISTORY=$(if $(filter full,$(PROFILE)),{history})" in (ROOT / "Makefile").read_text()
    )
    written, read = (SERVICES[name]["environment"]["MESH_FEATURES_HISTORY"] for name in ("features", "mesh"))
    assert (written, read) == (f"${{MESH_FEATURES_HISTORY:-{history}}}", "${MESH_FEATURES_HISTORY:-}")
    settings = Settings.from_environ({"MESH_FEATURES_HISTORY": history})
    assert load_features(ROOT / "config", settings.features_history).history == history
    assert "--no-history" in SERVICES["mesh"]["command"]
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ALLOW_HTTP",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):
        assert SERVICES["mesh"]["environment"][name] == SERVICES["features"]["environment"][name]
    keys = json.loads((ROOT / "docker" / "s3.json").read_text())["identities"][0]["credentials"][0]
    environment = SERVICES["features"]["environment"]
    assert environment["AWS_ACCESS_KEY_ID"] == keys["accessKey"]
    assert environment["AWS_SECRET_ACCESS_KEY"] == keys["secretKey"]


def test_prometheus_takes_its_config():
    done = subprocess.run(
        [
            program("promtool", "prometheus"),
            "check",
            "config",
            "--syntax-only",
            str(ROOT / "docker" / "prometheus.yml"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_prometheus_reads_the_rules_where_they_are_mounted():
    config = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())
    (folder,) = [target for _, source, target in mounts() if source == "observability/prometheus"]
    assert config["rule_files"] == [f"{folder}/*.rules.yml"]
    here = ROOT / "observability" / "prometheus"
    for path in here.glob("*.yml"):
        rules = "groups" in yaml.safe_load(path.read_text())
        assert rules is path.name.endswith(".rules.yml"), path


def test_the_collector_s_pipelines_name_parts_that_are_set_up():
    config = yaml.safe_load((ROOT / "docker" / "otel-collector.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert {*names} <= {*config[kind]}, kind
    (endpoint,) = [
        one["http"]["endpoint"] for one in (config["receivers"]["otlp"]["protocols"],) if "http" in one
    ]
    wanted = SERVICES["mesh"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert wanted.rpartition(":")[2] == endpoint.rpartition(":")[2]


def test_grafana_looks_for_dashboards_where_they_are_mounted():
    (provider,) = yaml.safe_load((ROOT / "docker/grafana/dashboards.yaml").read_text())["providers"]
    assert provider["options"]["path"] in {target for service, _, target in mounts() if service == "grafana"}
    sources = yaml.safe_load((ROOT / "docker/grafana/datasources.yaml").read_text())["datasources"]
    assert [one["uid"] for one in sources if one.get("isDefault")] == ["prometheus"]


def test_yaml_files_have_no_key_twice():
    for path in ("docker/prometheus.yml", "docker/otel-collector.yaml", "docker-compose.yml"):
        read_document(ROOT / path)
