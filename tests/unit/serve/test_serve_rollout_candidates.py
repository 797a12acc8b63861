"""Candidates of the registry: which version is meant, and how it is declared beside the primary."""

from pathlib import Path

import pytest
import yaml

from mesh.errors import InvalidInput, NotFound
from mesh.registry import Draft, FolderObjects, GateResult, Lineage, MemoryAudit, Registry
from mesh.rollouts.memory import MemoryAliases
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rules.memory import memory_book
from serve.rollout_candidates import RegistryHosts, declared, named

PLAN = Plan(
    "try", "default", "pump@1", "pump@2", AlertRule(0.8), (Step("shadow"), Step("promote")),
    (Metric("apart", "discordance", margin=0.1),), model="pump",
)  # fmt: skip
MODELS = """# What is hosted.
models:
  pump@1: # the first
    runtime: onnx
    path: registry:pump@1
    trusted: true
    inputs: [{name: x, datatype: FP32, shape: [-1, 2]}]
    outputs: [{name: score, datatype: FP32, shape: [-1]}]
    score: {output: score}
  other: {runtime: identity}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(FolderObjects(tmp_path / "registry"), MemoryAudit())
    for number in (1, 2):
        files, passed = {"model.onnx": f"model {number}".encode()}, GateResult("schema", "passed", 0, 0, "")
        made.add(Draft("pump", "retrained", files, "f00d", Lineage(), (passed,), 5_000, "ann"))
    return made


async def test_the_challenger_is_whatever_version_is_it_now() -> None:
    open_plan = Plan(
        **{
            **{name: getattr(PLAN, name) for name in PLAN.__slots__ if name != "digest"},
            "candidate": "pump@challenger",
        }
    )
    assert await named(PLAN, MemoryAliases()) is PLAN
    assert await named(open_plan, MemoryAliases({("pump", "challenger"): "pump@2"})) == PLAN
    with pytest.raises(InvalidInput, match="no version of 'pump' is challenger"):
        await named(open_plan, MemoryAliases())


def test_it_is_declared_as_the_primary_is_but_for_its_file_and_nothing_else_changes(
    registry: Registry,
) -> None:
    version = registry.get("pump", 2)
    text = declared(MODELS, PLAN, version)
    assert text.startswith(MODELS)
    models = yaml.safe_load(text)["models"]
    assert list(models) == ["pump@1", "other", "pump@2"]
    assert models["pump@2"] == {
        "runtime": "onnx",
        "inputs": models["pump@1"]["inputs"],
        "outputs": models["pump@1"]["outputs"],
        "score": {"output": "score"},
        "path": "registry:pump@2",
        "sha256": version.digest,
    }


def test_what_is_declared_already_stays_as_it_is(registry: Registry) -> None:
    once = declared(MODELS, PLAN, registry.get("pump", 2))
    assert declared(once, PLAN, registry.get("pump", 2)) == once


@pytest.mark.parametrize(
    "text",
    [
        "models: {pump@1: {runtime: onnx, path: 'registry:pump@1'}}",
        "models:\n    pump@1:\n        {runtime: onnx, path: 'registry:pump@1'}\n",
    ],
)
def test_a_file_in_another_manner_says_the_same_afterwards(registry: Registry, text: str) -> None:
    models = yaml.safe_load(declared(text, PLAN, registry.get("pump", 2)))["models"]
    assert models["pump@1"] == {"runtime": "onnx", "path": "registry:pump@1"}
    assert models["pump@2"]["path"] == "registry:pump@2"


@pytest.mark.parametrize("entry", ["{runtime: identity}", "{runtime: python, path: 'a:B'}"])
def test_what_is_no_onnx_model_has_no_versions_in_the_registry(registry: Registry, entry: str) -> None:
    with pytest.raises(InvalidInput, match=r"'pump@1' is no onnx model of models\.yaml"):
        declared(f"models:\n  pump@1: {entry}\n", PLAN, registry.get("pump", 2))


async def test_the_rules_take_it_up_once(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text("routes: [{name: main, when: always, send: [pump@1]}]\n")
    book = memory_book(tmp_path)
    hosts = RegistryHosts(book, lambda: book.config, lambda: registry)
    await hosts.host(PLAN, "ann")
    await hosts.host(PLAN, "ann")
    now = await book.current()
    assert (now.version, now.actor, now.source) == (2, "ann", "rollout")
    assert book.config.models["pump@2"].version == "2"


async def test_what_cannot_be_hosted_is_told(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text("routes: [{name: main, when: always, send: [pump@1]}]\n")
    book = memory_book(tmp_path)
    hosts = RegistryHosts(book, lambda: book.config, lambda: registry)
    for candidate, model, error, says in (
        ("pump@9", "pump", NotFound, "no version 9; there are: 1, 2"),
        ("pump@two", "pump", InvalidInput, r"declare it in models\.yaml"),
        ("pump@2", "", InvalidInput, r"declare it in models\.yaml"),
    ):
        plan = Plan(
            "try", "default", "pump@1", candidate, AlertRule(0.8), PLAN.steps, PLAN.metrics, model=model
        )
        with pytest.raises(error, match=says):
            await hosts.host(plan, "ann")
    assert (await book.current()).version == 1
