"""Rules and models change while a real mesh answers: no request fails, each names the one table it was answered by."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
import ray
from ray_mesh import RunningMesh, status_of, until, until_async
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.rules_client import RulesRefused
from mesh.cluster.actors import NAMESPACE
from mesh.cluster.desk import desk_name
from mesh.rules.opening import newest_rules
from mesh.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BODY = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]}]}
ECHO_2 = """
  echo@2:
    runtime: identity
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
    label: {argmax: x}
"""


@pytest.fixture
def mesh(mesh_on_ray: RunningMesh) -> Iterator[RunningMesh]:
    """The session's mesh; its rules and files are put back afterwards."""
    texts = {name: (mesh_on_ray.config_dir / name).read_text() for name in ("models.yaml", "routing.yaml")}
    before = get(mesh_on_ray, "/mesh/rules")
    yield mesh_on_ray
    for name, text in texts.items():
        (mesh_on_ray.config_dir / name).write_text(text)
    time.sleep(1.0)  # the watch has seen the files
    put(mesh_on_ray, 200, routing=before["routing"], models=before["models"])


def get(mesh: RunningMesh, path: str) -> dict:
    reply = httpx.get(f"{mesh.lane}{path}", timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def put(mesh: RunningMesh, status: int, **change: object) -> dict:
    reply = httpx.put(f"{mesh.lane}/mesh/rules", json={"actor": "test", **change}, timeout=300)
    assert reply.status_code == status, reply.text[:2000]
    return reply.json()


def routing(route: str, *models: str) -> str:
    """One route of this name, split evenly where there are several models."""
    if len(models) == 1:
        return f"routes:\n  - {{name: {route}, when: always, send: [{models[0]}]}}\n"
    shares = ", ".join(f"'{model}': {100 / len(models):g}" for model in models)
    return f"routes:\n  - {{name: {route}, when: always, split: {{{shares}}}}}\n"


@dataclass
class Load:
    """Clients that ask without pause; what each reply said of who decided, and by which table."""

    failed: list[str] = field(default_factory=list)
    seen: list[tuple[float, str, str, str]] = field(default_factory=list)
    """When it was asked, `mesh_rules`, route, model."""

    async def ask(self, url: str, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            while not stop.is_set():
                asked = time.monotonic()
                try:
                    reply = await client.post(url, json=BODY)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                if reply.status_code != 200:
                    self.failed.append(reply.text[:200])
                    continue
                said = reply.json()["parameters"]
                by = json.loads(said["mesh_answered_by"])
                self.seen.append((asked, said["mesh_rules"], by["route"], by["model"]))


@asynccontextmanager
async def load(mesh: RunningMesh, clients: int = 6) -> AsyncIterator[Load]:
    found, stop = Load(), asyncio.Event()
    urls = [f"{base}/v2/models/default/infer" for base in (mesh.lane, mesh.http)]
    tasks = [asyncio.create_task(found.ask(urls[n % 2], stop)) for n in range(clients)]
    try:
        yield found
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_rules_change_under_load_and_no_request_fails(mesh: RunningMesh) -> None:
    route_of: dict[str, str] = {}
    taken_at: list[tuple[float, str]] = []
    async with load(mesh) as found:
        for n in range(20):
            route = f"r{n}"
            model = "echo" if n % 2 else "slow"
            began = time.monotonic()
            changed = await asyncio.to_thread(put, mesh, 200, routing=routing(route, model))
            assert changed["changed"]
            assert changed["taken"] == changed["engines"] >= 1
            assert time.monotonic() - began < 2
            route_of[changed["revision"]["tables"]["default"]] = route
            taken_at.append((time.monotonic(), route))
            await until_async(lambda route=route: any(seen[2] == route for seen in reversed(found.seen)), 20)
    assert found.failed == []
    named = [(rules, route) for _, rules, route, _ in found.seen if rules in route_of]
    assert len({rules for rules, _ in named}) == 20
    assert all(route_of[rules] == route for rules, route in named)
    for (
        asked,
        _,
        route,
        _,
    ) in found.seen:  # what is asked after a change was taken is answered by it or a later one
        due = [int(name[1:]) for at, name in taken_at if at < asked]
        assert not due or int(route[1:]) >= due[-1]


async def test_a_version_is_added_and_taken_into_the_rules_under_load(mesh: RunningMesh) -> None:
    models = get(mesh, "/mesh/rules")["models"]
    async with load(mesh, 2) as found:
        hosted = await asyncio.to_thread(put, mesh, 200, models=models + ECHO_2)
        ask = httpx.AsyncClient(timeout=60)
        own = await ask.post(f"{mesh.lane}/v2/models/echo/versions/2/infer", json=BODY)
        assert json.loads(own.json()["parameters"]["mesh_answered_by"])["model"] == "echo@2"
        table = routing("ab", "echo", "echo@2")
        changed = await asyncio.to_thread(
            put, mesh, 200, routing=table, expected_version=hosted["revision"]["version"]
        )
        ours = changed["revision"]["tables"]["default"]
        wanted = {(ours, "echo"), (ours, "echo@2")}
        await until_async(lambda: wanted <= {(rules, model) for _, rules, _, model in found.seen}, 20)
        conflict = await asyncio.to_thread(
            put, mesh, 409, routing=table, expected_version=hosted["revision"]["version"]
        )
        assert conflict["version"] == changed["revision"]["version"]
        await ask.aclose()
    assert found.failed == []
    answered = {model for _, rules, _, model in found.seen if rules == ours}
    assert answered == {"echo", "echo@2"}


def test_what_is_wrong_changes_nothing_and_is_named(mesh: RunningMesh) -> None:
    before = get(mesh, "/mesh/rules")
    refused = put(mesh, 400, routing="routes:\n  - name: a\n    when: always\n    send: [ecko]\n")
    assert [(one["line"], one["key"]) for one in refused["problems"]] == [(4, "routes[0].send[0]")]
    assert "did you mean 'echo'" in refused["error"]
    digest = "  late:\n    runtime: onnx\n    path: config/models.yaml\n    sha256: " + "0" * 64 + "\n"
    refused = put(mesh, 400, models=before["models"] + digest)
    assert refused["problems"][0]["key"] == "models.late.sha256"
    raising = "  late: {runtime: python, path: 'ray_models:NotThere'}\n"
    refused = put(mesh, 400, models=before["models"] + raising)
    assert refused["reason"] == "model"
    assert "NotThere" in refused["error"]
    assert get(mesh, "/mesh/rules")["revision"] == before["revision"]


def test_changed_files_are_taken_and_bad_ones_are_not(mesh: RunningMesh) -> None:
    file = mesh.config_dir / "routing.yaml"
    before = get(mesh, "/mesh/rules")["revision"]["version"]
    file.write_text("routes:\n  - name: from-file\n    when: always\n    sned: [echo]\n")
    until(lambda: get(mesh, "/mesh/rules")["refused"] is not None, 30)
    state = get(mesh, "/mesh/rules")
    assert state["revision"]["version"] == before
    assert state["refused"]["problems"][0]["line"] == 4
    file.write_text(routing("from-file", "echo"))
    took = until(lambda: get(mesh, "/mesh/rules")["revision"]["version"] == before + 1, 30)
    assert took < 2
    state = get(mesh, "/mesh/rules")
    assert state["refused"] is None
    assert state["revision"]["actor"] == "files"
    assert answered_by(mesh)[1] == "from-file"


def test_a_file_is_applied_from_the_command_line(mesh: RunningMesh, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(routing("applied", "echo"))
    command = ["apply", str(file), "--url", mesh.lane, "--as", "ann"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "taken by 1 of 1" in done.output
    assert get(mesh, "/mesh/rules")["revision"]["actor"] == "ann"
    assert answered_by(mesh)[1] == "applied"
    file.write_text(routing("applied", "ecko"))
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, RulesRefused)
    assert str(refused.exception).startswith(f"{file}:2: routes[0].send[0]: ")


def test_shadows_are_compared_with_examples(mesh: RunningMesh) -> None:
    models = get(mesh, "/mesh/rules")["models"]
    if "echo@2" not in models:
        models += ECHO_2
    table = routing("shaded", "slow").replace("send: [slow]", "send: [slow], shadow: [echo@2]")
    put(mesh, 200, models=models, routing=table)
    for _ in range(10):
        answered_by(mesh)

    def compared() -> dict | None:
        found = [one for one in get(mesh, "/mesh/shadows?endpoint=default") if one["route"] == "shaded"]
        return found[0] if found and found[0]["rows"]["compared"] >= 10 else None

    def swifter() -> bool:
        """The shadow, as a whole: a machine that stood still amid one row weighs less with each that comes."""
        answered_by(mesh)
        now = compared()
        return now is not None and now["latency_ms"]["mean_difference"] < 0

    until(swifter, 30, lambda: f"{compared()}")
    found = compared()
    assert found is not None
    assert (found["primary"], found["shadow"]) == ("slow", "echo@2")
    assert found["rows"]["failed"] == 0
    assert found["latency_ms"]["primary"]["p50"] > found["latency_ms"]["shadow"]["p50"] > 0
    assert found["latency_ms"]["mean_difference"] < 0


def test_the_newest_table_outlives_every_process_that_knew_it(mesh: RunningMesh) -> None:
    kept = put(mesh, 200, routing=routing("kept", "echo"))["revision"]
    ray.kill(ray.get_actor(desk_name(mesh.config_dir), namespace=NAMESPACE), no_restart=True)
    mine = psutil.Process().children(recursive=True)
    (router,) = [one for one in mine if title(one).startswith("ray::ServeReplica:mesh:router")]
    router.kill()
    until(lambda: not title(router), 60)
    until(lambda: status_of(f"{mesh.lane}/v2/models/default/ready") == 200, 180)
    assert answered_by(mesh) == (kept["tables"]["default"], "kept")
    again = get(mesh, "/mesh/rules")["revision"]
    assert (again["version"], again["rules"], again["actor"]) == (kept["version"], kept["rules"], "test")
    # And a mesh that starts as a whole hosts and routes what was kept.
    assert newest_rules(mesh.config_dir, Settings()).rules_hash == kept["rules"]


def title(process: psutil.Process) -> str:
    """How Ray calls a process; empty for one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def answered_by(mesh: RunningMesh) -> tuple[str, str]:
    """The table and the route of one answer."""
    reply = httpx.post(f"{mesh.lane}/v2/models/default/infer", json=BODY, timeout=60)
    assert reply.status_code == 200, reply.text
    said = reply.json()["parameters"]
    return said["mesh_rules"], json.loads(said["mesh_answered_by"])["route"]
