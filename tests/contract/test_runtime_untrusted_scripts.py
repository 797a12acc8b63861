"""TorchScript files that would do more than compute, in whatever spelling and whichever reader of archives finds it."""

import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from archives import changed

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe
from mesh.runtimes.base import Artifact
from mesh.runtimes.untrusted import script_dangers, zipped

torch = pytest.importorskip("torch")


class Mapping(torch.nn.Module):
    def forward(self, x):
        return x + torch.from_file("mapped.bin", True, 4).sum()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_that_maps_files_needs_trust(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "maps.pt"
    torch.jit.script(Mapping()).save(str(path))
    with pytest.raises(ArtifactError, match=r"names from_file, which reads or writes files.*trusted: true"):
        describe(Artifact("a", "torch", path=str(path)))
    assert not (tmp_path / "mapped.bin").exists()
    describe(Artifact("a", "torch", path=str(path), trusted=True))
    assert (tmp_path / "mapped.bin").exists()  # what trust lets it do
    torch.jit.script(torch.nn.Linear(4, 2)).save(str(path))
    with zipfile.ZipFile(path) as file:
        assert list(script_dangers(zipped(file))) == []


class Doubling(torch.nn.Module):
    def forward(self, x):
        return x * 2


@pytest.fixture(scope="module")
def doubling(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("script") / "doubling.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Doubling()).save(str(path))
    return path


def in_code(content: bytes, call: str, before: str = "") -> bytes:
    """The code of `doubling` with a statement `before`, and a `call` of a file's name and size that it answers."""
    assert b"return torch.mul(x, 2)" in content
    line = f'{before}return torch.add(x, torch.sum({call}("mapped.bin", True, 4)))'
    return content.replace(b"return torch.mul(x, 2)", line.encode())


def refused(path: Path) -> None:
    declared = Signature((TensorSpec("x", "FP32", (-1, 2)),), ())
    with pytest.raises(ArtifactError, match=r"is not loaded: .*trusted: true"):
        describe(Artifact("a", "torch", path=str(path), signature=declared))
    assert not Path("mapped.bin").exists()


@pytest.mark.parametrize(
    ("call", "before"),
    [
        ("torch . from_file", ""),
        ("(torch).from_file", ""),
        ("torch.# x\n  from_file", ""),
        ("t.from_file", "t = torch\n    "),
        ("f", "f = ops.aten.from_file\n    "),
        ('getattr(torch, "from_file")', ""),
        ('getattr(torch, "from\\137file")', ""),
        ('getattr(torch, "from_" "file")', ""),
        ('getattr(getattr(ops, "aten"), "from_file")', ""),
    ],
)
def test_a_script_reaches_files_in_no_other_spelling(doubling, tmp_path, monkeypatch, call, before):
    monkeypatch.chdir(tmp_path)

    def change(name: str, content: bytes) -> bytes:
        return in_code(content, call, before) if name.endswith(".py") else content

    refused(changed(doubling, tmp_path / "evil.pt", change))


@pytest.mark.parametrize("renamed", [("/code/", "/CODE/"), (".py", ".PY"), None])
def test_code_is_found_as_torch_finds_it(doubling, tmp_path, monkeypatch, renamed):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(doubling) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".py"):
                new.writestr(name.replace(*renamed) if renamed else name, in_code(content, "torch.from_file"))
            if not (renamed and name.endswith(".py")):  # twice under one name: torch takes the first
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    new.writestr(name, content)
    refused(path)


def test_code_that_only_torchs_reader_sees_is_found(doubling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def change(name: str, content: bytes) -> bytes:
        return in_code(content, "torch.from_file") if name.endswith(".py") else content

    evil = changed(doubling, tmp_path / "a.pt", change).read_bytes()
    good = changed(doubling, tmp_path / "b.pt", lambda _, content: content).read_bytes()
    path = tmp_path / "evil.pt"
    path.write_bytes(read_in_two_ways(by_python=good, by_torch=evil))
    with zipfile.ZipFile(path) as file:
        assert list(script_dangers(zipped(file))) == []
    refused(path)


def read_in_two_ways(by_python: bytes, by_torch: bytes) -> bytes:
    """Python takes the directory that ends where the end record begins, torch the one at the offset that it states."""
    size, start = struct.unpack("<II", by_torch[-10:-2])
    shown_size, shown_start = struct.unpack("<II", by_python[-10:-2])
    assert size == shown_size
    hidden, shown = by_torch[: start + size], by_python[:shown_start]
    directory, at = bytearray(by_python[shown_start : shown_start + size]), 0
    while at < size:
        (offset,) = struct.unpack_from("<I", directory, at + 42)
        struct.pack_into("<I", directory, at + 42, start + offset - len(shown))
        at += 46 + sum(struct.unpack_from("<HHH", directory, at + 28))
    return hidden + shown + bytes(directory) + by_torch[-22:]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_native_class_needs_trust(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("m/data.pkl", b"c__torch__.torch\nclasses.aoti.Loader\n.")
        file.writestr("m/code/__torch__.py", "x : __torch__ . torch.classes.aoti.Loader\n")
        file.writestr("m/code/fine.py", "x : __torch__.torch.classes.quantized.LinearPackedParamsBase\n")
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert len(list(script_dangers(zipped(file)))) == 2
    layers = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.nn.ReLU())
    torch.jit.script(layers).save(str(tmp_path / "m.pt"))
    with zipfile.ZipFile(tmp_path / "m.pt") as file:
        assert any(b"getattr" in file.read(name) for name in file.namelist())
        assert list(script_dangers(zipped(file))) == []
