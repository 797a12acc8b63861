"""Versions of a model beside each other, and the digests of their artifacts."""

from hashlib import sha256
from pathlib import Path

import pytest

from mesh.errors import ArtifactError, InvalidConfig
from mesh.routing.types import Signature
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.digest import digest_of
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_mesh


def load(folder: Path, models: str, routing: str = "") -> MeshConfig:
    (folder / "models.yaml").write_text(models)
    (folder / "routing.yaml").write_text(routing)
    return load_mesh(folder, Settings())


def test_a_version_in_the_name_is_the_models_version(tmp_path):
    mesh = load(
        tmp_path,
        "models:\n  a: {runtime: identity}\n  a@2: {runtime: identity}\n  a@rc.1: {runtime: identity, version: rc.1}\n",
        "routes:\n  - {name: ab, when: always, split: {a: 80, a@2: 20}}\n",
    )
    assert {name: model.version for name, model in mesh.models.items()} == {
        "a": "1",
        "a@2": "2",
        "a@rc.1": "rc.1",
    }
    assert mesh.models["a@2"].artifact().version == "2"
    assert mesh.tables["default"].models == {"a", "a@2"}
    assert "a@2" in mesh.endpoints


@pytest.mark.parametrize(
    ("models", "line", "key", "reason"),
    [
        (
            "models:\n  a@2: {runtime: identity, version: 3}\n",
            2,
            "models.a@2.version",
            "is not the version in",
        ),
        (
            "models:\n  a: {runtime: identity, version: 2}\n  a@2: {runtime: identity}\n",
            3,
            "models.a@2",
            "is the version that 'a' has already",
        ),
        ("models:\n  a@: {runtime: identity}\n", 2, "models.a@", "a version may follow '@'"),
        ("models:\n  a@1@2: {runtime: identity}\n", 2, "models.a@1@2", "a version may follow '@'"),
        (
            "models:\n  a: {runtime: onnx, path: x, sha256: abc}\n",
            2,
            "models.a.sha256",
            "64 hexadecimal digits",
        ),
        (
            f"models:\n  a: {{runtime: identity, sha256: '{'0' * 64}'}}\n",
            2,
            "models.a",
            "sha256 belongs to a file",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, models, line, key, reason):
    with pytest.raises(InvalidConfig, match=reason) as refused:
        load(tmp_path, models)
    assert (refused.value.line, refused.value.key) == (line, key)


def test_an_artifact_with_another_digest_is_not_opened(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"not the one")
    right = sha256(b"not the one").hexdigest()
    assert digest_of(file) == right
    for digest, reason in (("0" * 64, f"has sha256 {right}"), (right, "cannot be loaded as a onnx model")):
        artifact = Artifact("m", "onnx", path=str(file), signature=Signature((), ()), sha256=digest)
        with pytest.raises(ArtifactError, match=reason):
            open_runtime(artifact)


def test_the_digest_of_a_folder_is_that_of_its_listing(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_text("2")
    (tmp_path / "a").write_text("1")
    lines = [f"{sha256(text.encode()).hexdigest()}  {name}\n" for name, text in (("a", "1"), ("b/two", "2"))]
    assert digest_of(tmp_path) == sha256("".join(lines).encode()).hexdigest()


def test_an_artifact_that_cannot_be_read_is_named(tmp_path):
    artifact = Artifact("m", "onnx", path=str(tmp_path / "gone"), signature=None, sha256="0" * 64)
    with pytest.raises(ArtifactError, match="gone cannot be read"):
        open_runtime(artifact)
