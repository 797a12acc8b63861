"""The checks: what each finds, on machines made for it."""

from email.message import Message
from pathlib import Path
from urllib.error import HTTPError

import pytest
from confluent_kafka import KafkaError, KafkaException

from mesh.cli import doctor
from mesh.cli.ray_variables import RAY_VARIABLES
from mesh.doctor import machine, servers
from mesh.doctor.configured import configuration, ray_variables
from mesh.doctor.examination import _findings, examine
from mesh.doctor.finding import Finding
from mesh.embedded.ports import Port
from mesh.settings import Settings
from mesh.telemetry.container import Memory
from mesh.telemetry.node import Gpu


def test_this_environment_has_what_the_mesh_needs():
    (found,) = machine.versions()
    assert found.level == "ok"
    assert "Ray 2." in found.what


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("numpy>=1", None),
        ("numpy<1", "is installed, <1 is needed"),
        ("no-such-package-at-all>=1", "no-such-package-at-all is not installed"),
        ("no-such-package-at-all; extra == 'torch'", None),
    ],
)
def test_requirements(text: str, why: str | None):
    found = machine._unmet(text)
    assert found is None if why is None else why in str(found)


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (500e9, 1e12, "ok"),
        (100e9, 1e12, "note"),
        (40e9, 1e12, "note"),
        (2e9, 4e9, "note"),
        (0.9e9, 4e9, "problem"),
    ],
)
def test_disk(free: float, total: float, level: str):
    found = machine.disk_room(Path("/somewhere"), free, total)
    assert found.level == level
    assert (found.do == "") is (level == "ok")


@pytest.mark.parametrize(
    ("available", "total", "running", "level"),
    [
        (2.5, 6, False, "ok"),
        (1.5, 6, False, "problem"),
        (1.5, 6, True, "ok"),  # what the shipped mesh leaves of docker-compose.yml's limit
        (0.5, 6, True, "problem"),  # Ray ends workers at 95 %
    ],
)
def test_a_mesh_that_runs_needs_only_what_ray_wants_left(
    available: float, total: float, running: bool, level: str
):
    there = Memory(int(total * 1e9), int(available * 1e9))
    assert machine.memory_room(there, 2, running=running).level == level


@pytest.mark.parametrize(("wanted", "level"), [(False, "ok"), (True, "problem")])
def test_a_gpu_that_is_wanted_and_not_there(wanted: bool, level: str):
    (found,) = machine.gpu((), wanted)
    assert found.level == level
    (found,) = machine.gpu([Gpu("0", 0.0, 0, int(80e9))], wanted)
    assert found == Finding("gpu", "ok", "1 (80 GB)")


@pytest.mark.parametrize(
    ("theirs", "level"), [(100.0, "ok"), (100.2, "ok"), (97.0, "problem"), (103.5, "problem")]
)
def test_a_clock_that_differs(theirs: float, level: str):
    (found,) = servers.clock(theirs, 100.0, 100.1)
    assert found.level == level


def test_ray_variables_that_differ_are_notes():
    environ = {**RAY_VARIABLES, "RAY_worker_niceness": "15"}
    (found,) = ray_variables(environ, RAY_VARIABLES)
    assert found.level == "note"
    assert "RAY_worker_niceness=15" in found.what
    (found,) = ray_variables(RAY_VARIABLES, RAY_VARIABLES)
    assert found == Finding("ray", "ok", "all variables are as hyperstream up sets them")


def test_a_configuration_with_a_mistake(tmp_path: Path):
    (tmp_path / "routing.yaml").write_text("routes: [{name: a, when: always, send: [nobody]}]")
    (found,), mesh = configuration(tmp_path, Settings())
    assert mesh is None
    assert found.level == "problem"
    assert "routing.yaml:1" in found.what


def test_a_model_whose_file_is_missing(tmp_path: Path):
    config = tmp_path / "config"
    config.mkdir()
    inputs = "[{name: x, datatype: FP32, shape: [-1, 2]}]"
    (config / "models.yaml").write_text(
        f"models: {{a: {{runtime: onnx, path: models/a.onnx, inputs: {inputs}}}}}"
    )
    found, mesh = configuration(config, Settings())
    assert mesh is not None
    assert [one.level for one in found] == ["ok", "problem"]
    assert "a.onnx is not there" in found[1].what


def test_a_check_that_fails_does_not_hide_the_others():
    def broken() -> list[Finding]:
        raise OSError("no such device")

    (found,) = _findings(broken)
    assert (found.level, found.what) == ("note", "a check could not be made: OSError: no such device")


def test_a_variable_that_is_wrong_is_the_first_finding():
    found = examine({"MESH_HTTP_PORT": "many"}, lambda _: [], {}, running=False)
    assert found[0].check == "environment"
    assert "MESH_HTTP_PORT" in found[0].what


def test_the_mesh_at_home_takes_its_ports():
    wanted = [Port(8080, "HTTP", "MESH_HTTP_PORT"), Port(9001, "gRPC", "MESH_GRPC_PORT")]
    (found,) = servers.taken_ports(wanted, {8080: ""}, running=True)
    assert (found.level, found.what) == ("ok", "a mesh is running here; 1 of 2 ports are in use")
    (found,) = servers.taken_ports(wanted, {8080: "nginx (pid 7)"}, running=False)
    assert (found.level, found.what) == ("problem", "8080 (HTTP) is taken by nginx (pid 7)")
    assert "MESH_HTTP_PORT" in found.do
    (found,) = servers.taken_ports(wanted, {}, running=False)
    assert found == Finding("ports", "ok", "all 2 are free")


@pytest.mark.parametrize(("code", "running"), [(401, True), (403, True), (404, False)])
def test_a_mesh_that_wants_a_token_runs_too(monkeypatch, code: int, running: bool):
    def refuse(request, **_):
        raise HTTPError(request.full_url, code, "no", Message(), None)

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert doctor.answers() is running


def test_kafka_is_asked_with_what_gets_the_mesh_past_its_door(monkeypatch):
    asked = {}

    class Admin:
        """The broker's side does not matter here."""

        def __init__(self, settings) -> None:
            asked.update(settings)

        def list_topics(self, timeout):
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr(servers, "AdminClient", Admin)
    monkeypatch.setenv("KAFKA_CLIENT_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_CLIENT_SASL_USERNAME", "mesh")
    (found,) = servers.kafka("broker.example:9093", ["a"], named=True)
    assert found.level == "problem"
    assert (asked["security.protocol"], asked["sasl.username"]) == ("SASL_SSL", "mesh")
