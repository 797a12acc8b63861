"""References in models.yaml, the cache, and the commands over a folder."""

import os
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.learn import gate_line, tell
from mesh.errors import ArtifactError, InvalidConfig, InvalidInput, NotFound
from mesh.learning.learn import Learned
from mesh.records.audit_log import AuditLog
from mesh.records.database import database_url, open_database
from mesh.records.ports import AuditQuery
from mesh.registry import Draft, FolderObjects, GateResult, Lineage, LinesAudit, MemoryAudit, Registry
from mesh.registry.audit import AuditEntry
from mesh.registry.configured import on_this_machine
from mesh.registry.reference import Reference, is_reference, parse_reference
from mesh.registry.sources import keep, located
from mesh.runtimes.base import Artifact
from mesh.settings import Settings
from mesh.spec import load_learning, load_mesh

GOOD = GateResult("latency", "passed", 1.0, 2.0, "1.0 ms, 2 allowed")
BAD = GateResult("labels", "failed", 0.5, 0.9, "0.5, 0.4 short")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry:pumps@champion", Reference("registry", "pumps", "champion")),
        ("registry:pumps@3", Reference("registry", "pumps", "3")),
        ("models:/my pumps@champion", Reference("mlflow", "my pumps", "champion")),
        ("models:/pumps/3", Reference("mlflow", "pumps", "3")),
    ],
)
def test_references_are_read_and_written_alike(text, expected):
    assert is_reference(text)
    assert parse_reference(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["registry:pumps", "registry:@champion", "models:/pumps", "models:/pumps/x"])
def test_what_names_no_model_is_refused(text):
    with pytest.raises(ValueError, match="write registry:NAME@champion"):
        parse_reference(text)


def config(tmp_path: Path, path: str, runtime: str = "onnx") -> Path:
    folder = tmp_path / "config"
    folder.mkdir(exist_ok=True)
    (folder / "models.yaml").write_text(f"models:\n  a:\n    runtime: {runtime}\n    path: {path}\n")
    return folder


@pytest.mark.parametrize(
    ("path", "runtime", "message"),
    [
        ("registry:pumps", "onnx", r"models\.yaml:.*write registry:NAME@champion"),
        ("models:/pumps@champion", "torch", "registries hold onnx models, not torch"),
    ],
)
def test_models_yaml_says_what_is_wrong_with_a_reference(tmp_path, path, runtime, message):
    with pytest.raises(InvalidConfig, match=message):
        load_mesh(config(tmp_path, path, runtime), Settings())


def registry(tmp_path: Path) -> Registry:
    made = Registry(FolderObjects(tmp_path / "store/registry"), MemoryAudit())
    for model, gate in ((b"one", GOOD), (b"two", GOOD), (b"three", BAD)):
        lineage = Lineage(("l-1",), {"raw-0": (3, 9)}, (1_000, 2_000), 10, 1)
        made.add(Draft("pumps", "retrained", {"model.onnx": model}, "f00d", lineage, (gate,), 5_000, "ann"))
    made.move("pumps", "champion", 2, expected=None, actor="ann", reason="")
    return made


def test_a_reference_becomes_the_champions_file_and_follows_it(tmp_path):
    kept, folder = registry(tmp_path), config(tmp_path, "registry:pumps@champion")
    artifact = load_mesh(folder, Settings()).models["a"].artifact()
    found = on_this_machine(artifact, folder)
    assert (Path(found.path).read_bytes(), found.version) == (b"two", "2")
    kept.move("pumps", "champion", 1, expected=2, actor="ann", reason="")
    assert Path(on_this_machine(artifact, folder).path).read_bytes() == b"one"
    plain = Artifact("x", "onnx", path="/m.onnx")
    assert on_this_machine(plain, folder) is plain


def test_a_missing_model_and_another_runtime_are_told(tmp_path):
    folder = config(tmp_path, "registry:pumps@champion")
    with pytest.raises(NotFound, match="no alias 'champion'"):
        on_this_machine(load_mesh(folder, Settings()).models["a"].artifact(), folder)
    with pytest.raises(ArtifactError, match="hold onnx models, not torch"):
        located(Artifact("x", "torch", path="registry:a@1"), "r", tmp_path, {})
    with pytest.raises(ArtifactError, match="needs MLFLOW_TRACKING_URI"):
        located(Artifact("x", "onnx", path="models:/a@b"), "r", tmp_path, {})
    with pytest.raises(ArtifactError, match="no http"):
        located(Artifact("x", "onnx", path="models:/a@b"), "r", tmp_path, {"MLFLOW_TRACKING_URI": "file:/x"})


def test_the_cache_is_repaired_and_takes_no_paths(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = keep({"model.onnx": b"1"})
    (folder / "model.onnx").write_bytes(b"spoilt")
    assert keep({"model.onnx": b"1"}) == folder
    assert (folder / "model.onnx").read_bytes() == b"1"
    with pytest.raises(ArtifactError, match="which is a path"):
        keep({"../x": b"1"})


@pytest.mark.parametrize("made", ["link", "open"])
def test_the_cache_is_a_folder_of_this_user_alone(tmp_path, monkeypatch, made):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = tmp_path / f"hyperstream-models-{os.getuid()}"
    (tmp_path / "elsewhere").mkdir()
    if made == "link":
        cache.symlink_to(tmp_path / "elsewhere")
    else:
        cache.mkdir()
        cache.chmod(0o777)
    with pytest.raises(ArtifactError, match="no folder that only this user may change"):
        keep({"model.onnx": b"1"})
    assert not list((tmp_path / "elsewhere").iterdir())


def run(tmp_path: Path, monkeypatch, *words: str):
    monkeypatch.setenv("MESH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "config").mkdir(exist_ok=True)
    return CliRunner().invoke(app, ["models", *words])


def test_the_commands_list_show_and_move(tmp_path, monkeypatch):
    assert "no versions yet" in run(tmp_path, monkeypatch, "list").output
    registry(tmp_path)
    listed = run(tmp_path, monkeypatch, "list", "pumps").output
    assert "champion" in listed
    assert "failed labels" in listed
    shown = run(tmp_path, monkeypatch, "show", "pumps@champion").output
    for text in (
        "pumps 2, retrained by ann",
        "raw-0: offsets 3 to 9",
        "latency         1.0 ms",
        "made from version 1",
    ):
        assert text in shown
    moved = run(tmp_path, monkeypatch, "alias", "pumps@champion", "1", "--reason", "calmer", "--actor", "bob")
    assert "pumps@champion is version 1 now, it was version 2" in moved.output
    logged = AuditLog(open_database(database_url(None, tmp_path))).page(AuditQuery(actor="bob"))
    assert [(one.action, one.target, one.via) for one in logged] == [
        ("models.alias", "model:pumps@champion", "cli")
    ]
    refused = run(tmp_path, monkeypatch, "alias", "pumps@champion", "3")
    assert "labels: 0.5, 0.4 short" in str(refused.exception)
    late = run(tmp_path, monkeypatch, "alias", "pumps@champion", "2", "--expected", "2")
    assert "is version 1, not version 2" in str(late.exception)
    with pytest.raises(InvalidInput, match="is not NAME@VERSION"):
        raise run(tmp_path, monkeypatch, "show", "pumps").exception


def test_a_result_is_told_gate_by_gate(capsys):
    tell(Console(width=200), "retrain", Learned(None, (BAD,), challenger=False, missing=2))
    said = capsys.readouterr().out
    assert gate_line(BAD) in said
    assert "2 labels have no window in the history" in said
    assert "the retrain was stopped" in said


def test_an_audit_on_file_appends(tmp_path):
    audit = LinesAudit(tmp_path / "a/b.jsonl")
    for at in (1, 2):
        audit.record(AuditEntry("ann", "models.alias", "pumps@champion", "nothing", "version 1", "", at))
    assert len((tmp_path / "a/b.jsonl").read_text().splitlines()) == 2


def test_learning_yaml_defaults_are_those_of_the_plan_and_mistakes_have_a_line(tmp_path):
    from mesh.learning.plan import LearningPlan

    assert load_learning(tmp_path) == LearningPlan()
    (tmp_path / "learning.yaml").write_text("gates:\n  fuond: 0.1\n")
    with pytest.raises(InvalidConfig, match=r"learning\.yaml:2: gates\.fuond: unknown key.*found"):
        load_learning(tmp_path)
    (tmp_path / "learning.yaml").write_text("schedule: {every: 1m}\n")
    with pytest.raises(InvalidConfig, match="least_gap must not be longer"):
        load_learning(tmp_path)
