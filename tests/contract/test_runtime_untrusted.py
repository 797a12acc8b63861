"""Model files that would do more than compute: refused before they are loaded, and loaded where they are trusted."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
from archives import changed

from mesh.errors import ArtifactError
from mesh.runtimes import describe
from mesh.runtimes.base import Artifact
from mesh.runtimes.untrusted import exported_dangers, zipped

torch = pytest.importorskip("torch")


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(x)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "layer.pt2"
    batch = torch.export.Dim("batch")
    torch.export.save(
        torch.export.export(Layer(), (torch.randn(3, 4),), dynamic_shapes={"x": {0: batch}}), path
    )
    return path


def in_model(before: str, after: str):
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        assert before.encode() in content
        return content.replace(before.encode(), after.encode())

    return change


def test_a_model_that_computes_is_loaded(exported):
    assert describe(Artifact("a", "torch", path=str(exported))).inputs[0].shape == (-1, 4)


class Writes:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_a_size_is_never_evaluated(exported, tmp_path):
    trace = tmp_path / "trace"
    evil = f"__import__('pathlib').Path('{trace}').touch()"
    path = changed(
        exported, tmp_path / "evil.pt2", in_model("Symbol('s77', positive=True, integer=True)", evil)
    )
    with pytest.raises(ArtifactError, match=r"no arithmetic over sizes.*trusted: true"):
        describe(Artifact("a", "torch", path=str(path)))
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "open('/etc/passwd')", "().__class__", "eval('1')", "Max('__import__(1)')", "Symbol('a b')", "[x for x in y]",
        "lambda: 1",
        "Symbol('s', positive='__import__')", "f'{1}'", "a.b", "1 if True else 2", "(" * 500, 7,
    ],
)  # fmt: skip
def test_what_is_no_arithmetic(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("m/models/model.json", json.dumps({"expr_str": text}))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert list(exported_dangers(zipped(file)))


@pytest.mark.parametrize(
    "text",
    [
        "s0",
        "2*s0 + 1",
        "Max(1, s0)",
        "Symbol('s77', positive=True, integer=True)",
        "FloorDiv(s0, 2) - 3",
        "s0 <= 8",
    ],
)
def test_what_is(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("m/models/model.json", json.dumps({"expr_str": text}))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert list(exported_dangers(zipped(file))) == []


@pytest.mark.parametrize(
    "target",
    ["torch.os.system", "_operator.methodcaller", "torch.ops.aten.from_file.default", "builtins.eval"],
)
def test_a_function_that_is_no_operator_is_not_called(exported, tmp_path, target):
    path = changed(exported, tmp_path / "evil.pt2", in_model("torch.ops.aten.linear.default", target))
    with pytest.raises(ArtifactError, match="no operator of a model"):
        describe(Artifact("a", "torch", path=str(path)))


def test_a_pickle_inside_is_not_read(exported, tmp_path):
    trace = tmp_path / "trace"

    def change(name: str, content: bytes) -> bytes:
        return pickle.dumps(Writes(trace)) if name.endswith("sample_inputs/model.pt") else content

    with pytest.raises(ArtifactError):
        describe(Artifact("a", "torch", path=str(changed(exported, tmp_path / "evil.pt2", change))))
    assert not trace.exists()
    weights = changed(
        exported,
        tmp_path / "weights.pt2",
        lambda name, content: (
            content.replace(b'"use_pickle": false', b'"use_pickle": true ')
            if "weights_config" in name
            else content
        ),
    )
    with pytest.raises(ArtifactError, match="a tensor in it is a pickle"):
        describe(Artifact("a", "torch", path=str(weights)))


def test_a_bare_pickle_is_no_model(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Writes(trace)))
    with pytest.raises(ArtifactError, match=r"neither TorchScript nor torch\.export"):
        describe(Artifact("a", "torch", path=str(path), trusted=True))
    torch.save(Layer(), path)
    with pytest.raises(ArtifactError, match="neither"):
        describe(Artifact("a", "torch", path=str(path)))
    assert not trace.exists()


def test_native_code_in_an_exported_model_is_not_loaded(exported, tmp_path):
    path = changed(exported, tmp_path / "evil.pt2", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as file:
        root = file.namelist()[0].partition("/")[0]
        file.writestr(f"{root}/data/aotinductor/model/x.wrapper.so", b"\x7fELF")
    with pytest.raises(ArtifactError, match=r"x\.wrapper\.so is of a compiled model.*trusted: true"):
        describe(Artifact("a", "torch", path=str(path)))


def test_a_file_may_be_named_after_what_it_does_not_hold(tmp_path):
    path = tmp_path / "no_aotinductor.pt2"  # torch names the folder within the file after it
    batch = torch.export.Dim("batch")
    program = torch.export.export(Layer(), (torch.randn(3, 4),), dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as file:
        assert "no_aotinductor/models/model.json" in file.namelist()
        assert list(exported_dangers(zipped(file))) == []


def test_sizes_are_looked_at_whatever_the_case_of_the_files_name(exported, tmp_path):
    trace = tmp_path / "trace"
    evil = f"__import__('pathlib').Path('{trace}').touch()".encode()
    path = tmp_path / "evil.pt2"
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name).replace(b"Symbol('s77', positive=True, integer=True)", evil)
            new.writestr(name.replace("model.json", "model.JSON"), content)
    with pytest.raises(ArtifactError, match=r"no arithmetic over sizes.*trusted: true"):
        describe(Artifact("a", "torch", path=str(path)))
    assert not trace.exists()


def test_a_saved_model_that_reads_files_needs_trust(tmp_path):
    tf = pytest.importorskip("tensorflow")
    secret = tmp_path / "secret"
    secret.write_text("1")

    class Reads(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def serve(self, x):
            return {"y": x + tf.strings.to_number(tf.io.read_file(str(secret)))}

    model = Reads()
    tf.saved_model.save(model, str(tmp_path / "reads"), signatures=model.serve)
    with pytest.raises(ArtifactError, match=r"the operation ReadFile.*trusted: true"):
        describe(Artifact("a", "tensorflow", path=str(tmp_path / "reads")))
    (tmp_path / "reads" / "assets" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactError, match="leads out of the model's folder"):
        describe(Artifact("a", "tensorflow", path=str(tmp_path / "reads")))


def test_onnx_weights_stay_in_the_models_folder(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    (tmp_path / "secret").write_bytes(b"\0" * 8)
    (tmp_path / "models").mkdir()
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="../secret")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "models" / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError):
        describe(Artifact("a", "onnx", path=str(path)))
    assert onnx is not None
