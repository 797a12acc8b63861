"""The console and the writer of history: programs of ours with the options that they have, and the ports that they are told."""

import shlex

import pytest
from overlays import OVERLAYS, matches, of_kind, pods
from typer.testing import CliRunner

from mesh.cli.app import app


def program(overlay, name):
    return next(pod for pod in pods(overlay) if pod.name == name)


PROGRAMS = [
    ("dev", "hyperstream-console"),
    ("production", "hyperstream-console"),
    ("production", "hyperstream-history"),
]


@pytest.mark.parametrize(("overlay", "name"), PROGRAMS)
def test_its_command_is_one_that_there_is_on_the_port_that_is_named(overlay, name):
    pod = program(overlay, name)
    (container,) = pod.containers
    words = container["args"]
    options = [word for word in words if word.startswith("--")]
    command = words[: words.index(options[0])]
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert all(option in shown.output for option in options), shlex.join(words)
    (port,) = pod.ports.values()
    assert str(port) in words


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_console_asks_a_service_that_leads_to_routers(overlay):
    words = program(overlay, "hyperstream-console").containers[0]["args"]
    host, _, port = words[words.index("--url") + 1].removeprefix("http://").partition(":")
    service = of_kind(overlay, "Service")[host]["spec"]
    (target,) = [one["targetPort"] for one in service["ports"] if one["port"] == int(port)]
    edge = program(overlay, "edge")
    assert matches({"matchLabels": service["selector"]}, edge.labels)
    assert target in edge.ports


def test_what_is_written_is_what_the_routers_read():
    """One address for both, by the ConfigMap that both are given, and the same keys for S3."""

    def secrets(pod):
        return {
            one["name"]: one["valueFrom"]["secretKeyRef"]
            for one in pod.containers[0]["env"]
            if one["name"].startswith("AWS_")
        }

    writer, reader = program("production", "hyperstream-history"), program("production", "edge")
    assert secrets(writer) == secrets(reader)
    assert len(secrets(writer)) == 4
    given = [
        {one["configMapRef"]["name"] for one in pod.containers[0]["envFrom"] if "configMapRef" in one}
        for pod in (writer, reader)
    ]
    assert any(name.startswith("hyperstream-environment") for name in given[0] & given[1])
