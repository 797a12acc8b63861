"""What every runtime promises, as its callers see it: opened by `open_runtime`, called by a `Scorer`."""

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forwarder import Forwarder
from runtime_cases import ADDER, CASES, POISON, Case, echo_signature, sample, triton_at
from tritonclient.grpc import InferenceServerClient

from mesh.errors import ArtifactError, InvalidInput, Unavailable
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.scorer import Scorer
from tests.fakes.machine import missing

ROOT = Path(__file__).resolve().parents[2]
PORTS = range(21000, 21011)
Open = Callable[[str], Scorer]


@pytest.fixture(scope="session")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real Triton server's gRPC."""
    python = Path(os.environ.get("TRITON_PYTHON") or ROOT / ".venv-triton" / "bin" / "python")
    if not python.exists():
        missing(f"no Triton: {python} is not there (make triton-env, or set TRITON_PYTHON)")
    folder = tmp_path_factory.mktemp("triton")
    log = folder / "server.log"
    ports = _free_ports(3)
    script = Path(__file__).with_name("triton_server.py")
    command = [str(python), str(script), *map(str, ports), str(folder / "work")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 90
        while b"\nready\n" not in log.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Triton does not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield f"127.0.0.1:{ports[1]}"
    finally:
        with suppress(subprocess.TimeoutExpired):
            server.communicate(timeout=20)  # closes its stdin, at which it stops
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=20)


def _free_ports(count: int) -> list[int]:
    free = []
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                free.append(port)
    return free[:count]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.kind)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """One runtime. The framework is imported, and the server started, once for all tests of the module."""
    if request.param.kind == "triton":
        with triton_at(request.getfixturevalue("triton_server")):
            yield request.param
    else:
        yield request.param


def over(keep: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """Runs a test over the runtimes to which it applies."""
    kept = [case for case in CASES if keep(case)]
    return pytest.mark.parametrize("case", kept, ids=lambda case: case.kind, indirect=True)


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(case.kind)


@pytest.fixture(scope="module")
def opened(case: Case, folder: Path) -> Iterator[Open]:
    """Opens a model once, however many tests ask for it."""
    scorers: dict[str, Scorer] = {}

    def open_model(model: str) -> Scorer:
        if model not in scorers:
            artifact = case.artifact(folder, model)
            scorers[model] = Scorer(open_runtime(artifact), artifact)
        return scorers[model]

    yield open_model
    for scorer in scorers.values():
        scorer.close()


def inputs_of(signature: Signature, rows: int) -> dict[str, np.ndarray]:
    numbers = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    return {spec.name: numbers + place for place, spec in enumerate(signature.inputs)}


def expected_of(case: Case, tensors: Tensors) -> dict[str, np.ndarray]:
    if case.kind == "identity":
        return dict(tensors)
    if case.kind == "rules":
        p = 1 / (1 + np.exp(-(tensors["a"][:, 1].astype(np.float64) - 0.5)))
        return {"probabilities": np.stack([1 - p, p], axis=1).astype(np.float32)}
    return {"sum": tensors["a"] + tensors["b"]}


def test_signature_is_stated(case: Case, opened: Open) -> None:
    signature = opened("adder").signature
    assert all(spec.datatype == "FP32" and spec.shape == (-1, 4) for spec in signature.inputs)
    assert [spec.name for spec in signature.inputs] == (["a"] if case.kind == "rules" else ["a", "b"])
    if case.kind not in ("identity", "rules"):
        assert signature == ADDER


@pytest.mark.parametrize("rows", [1, 7, 1000, 3, 64])
def test_any_number_of_rows_in_any_order(case: Case, opened: Open, rows: int) -> None:
    scorer = opened("adder")
    tensors = inputs_of(scorer.signature, rows)
    scored = scorer.score(tensors)
    assert not scored.failed
    expected = expected_of(case, tensors)
    assert sorted(scored.outputs) == sorted(expected)
    for name, array in expected.items():
        assert scored.outputs[name].dtype == np.float32
        np.testing.assert_allclose(scored.outputs[name], array, rtol=1e-6, atol=1e-6)


@over(lambda case: "echo" in case.models)
@pytest.mark.parametrize("rows", [1, 40])
def test_every_claimed_datatype(case: Case, opened: Open, rows: int) -> None:
    scorer = opened("echo")
    claimed = echo_signature(case.claims)
    assert {(s.name, s.datatype, s.shape) for s in scorer.signature.inputs} == {
        (s.name, s.datatype, s.shape) for s in claimed.inputs
    }
    scored = scorer.score({f"x_{name.lower()}": sample(name, rows) for name in case.claims})
    assert not scored.failed
    prefix = "x_" if case.kind == "identity" else "y_"
    for name in case.claims:
        answer = scored.outputs[f"{prefix}{name.lower()}"]
        assert answer.dtype == sample(name, rows).dtype, name
        np.testing.assert_array_equal(answer, sample(name, rows), err_msg=name)


@pytest.mark.parametrize(
    ("change", "field", "expected", "got"),
    [
        (lambda a: a[:, :3], "a", "FP32 [N, 4]", "FP32 [2, 3]"),
        (lambda a: a.astype(np.float64), "a", "FP32 [N, 4]", "FP64 [2, 4]"),
        (lambda a: a[0], "a", "FP32 [N, 4]", "FP32 [4]"),
        (lambda _: None, "a", "FP32 [N, 4]", "only"),
    ],
    ids=["width", "dtype", "rank", "missing"],
)
def test_wrong_input_is_named(opened: Open, change: Callable, field: str, expected: str, got: str) -> None:
    scorer = opened("adder")
    tensors = inputs_of(scorer.signature, 2)
    changed = change(tensors.pop("a"))
    if changed is not None:
        tensors["a"] = changed
    with pytest.raises(InvalidInput) as caught:
        scorer.score(tensors)
    assert caught.value.field == field
    assert f"expected {expected}" in caught.value.reason
    assert f"got {got}" in caught.value.reason


def test_unknown_input_is_named(opened: Open) -> None:
    scorer = opened("adder")
    with pytest.raises(InvalidInput, match="stray"):
        scorer.score({**inputs_of(scorer.signature, 2), "stray": np.zeros((2, 4), np.float32)})


@over(lambda case: case.kind != "rules")
def test_inputs_of_different_length(opened: Open) -> None:
    scorer = opened("adder")
    with pytest.raises(InvalidInput, match="3 rows"):
        scorer.score({**inputs_of(scorer.signature, 2), "b": np.zeros((3, 4), np.float32)})


def test_no_rows_are_answered_with_none(case: Case, opened: Open) -> None:
    scorer = opened("adder")
    scored = scorer.score(inputs_of(scorer.signature, 0))
    assert not scored.failed
    assert {spec.name for spec in scorer.signature.outputs} == set(scored.outputs)
    for spec in scorer.signature.outputs:
        assert scored.outputs[spec.name].shape == (0, *spec.shape[1:])
        assert scored.outputs[spec.name].dtype == np.float32


def test_non_finite_values_pass_through(case: Case, opened: Open) -> None:
    scorer = opened("adder")
    tensors = inputs_of(scorer.signature, 3)
    tensors["a"][1] = [np.nan, np.nan, np.inf, -np.inf]
    scored = scorer.score(tensors)
    assert not scored.failed
    output = scored.outputs["probabilities" if case.kind == "rules" else next(iter(scored.outputs))]
    assert np.isfinite(output[[0, 2]]).all()
    if case.kind == "rules":
        assert np.isnan(output[1]).all()
    else:
        np.testing.assert_array_equal(output[1], tensors["a"][1])


@over(lambda case: "picky" in case.models)
@pytest.mark.parametrize("poisoned", [[0], [99], [0, 1, 50, 99], list(range(100))], ids=len)
def test_rows_that_raise_fail_alone(opened: Open, poisoned: list[int]) -> None:
    scorer = opened("picky")
    x = (np.arange(100) % 4).astype(np.int64).reshape(-1, 1)
    x[poisoned] = POISON
    scored = scorer.score({"x": x})
    assert sorted(scored.failed) == poisoned
    assert all(": " in reason and len(reason) <= 500 for reason in scored.failed.values())
    good = [row for row in range(100) if row not in poisoned]
    if good:
        np.testing.assert_array_equal(scored.outputs["y"][good], 2 * x[good])
        assert np.isnan(scored.outputs["y"][poisoned]).all()
    else:
        assert scored.outputs == {}
    after = scorer.score({"x": np.array([[3]])})
    assert after.outputs["y"].tolist() == [[6.0]]


def test_read_only_rows_are_scored_without_a_warning(case: Case, opened: Open) -> None:
    scorer = opened("adder")
    tensors = inputs_of(scorer.signature, 5)
    for array in tensors.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored = scorer.score(tensors)
    for name, array in expected_of(case, tensors).items():
        np.testing.assert_allclose(scored.outputs[name], array, rtol=1e-6, atol=1e-6)


def test_warm_up_measures_the_call(opened: Open) -> None:
    scorer = opened("adder")
    scorer.warm_up((1, 64))
    assert 0 < scorer.seconds_per_call < 1


@over(lambda case: case.damage is not None)
def test_missing_artifact(case: Case, folder: Path) -> None:
    artifact = case.artifact(folder, "adder")
    elsewhere = {"python": "no.such.module:Model", "triton": "grpc://127.0.0.1:21099/adder"}
    path = elsewhere.get(case.kind, str(folder / "not-there"))
    with pytest.raises(ArtifactError, match=path.partition(":")[0]):
        open_runtime(replace(artifact, path=path))
    with pytest.raises(ArtifactError, match="needs a path"):
        open_runtime(replace(artifact, path=None))


@over(lambda case: case.damage is not None)
def test_damaged_artifact(case: Case, tmp_path: Path) -> None:
    assert case.damage is not None
    artifact = case.damage(case.artifact(tmp_path, "adder"))
    with pytest.raises(ArtifactError, match="model 'm'") as caught:
        open_runtime(artifact)
    assert str(artifact.path) in str(caught.value) or case.kind == "python"


@over(lambda case: case.is_file)
def test_folder_in_place_of_a_file(case: Case, tmp_path: Path) -> None:
    artifact = case.artifact(tmp_path, "adder")
    path = Path(str(artifact.path))
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(ArtifactError, match=r"is a (folder|file)"):
        open_runtime(artifact)


@over(lambda case: case.states)
@pytest.mark.parametrize(
    ("declared", "both"),
    [
        (
            (TensorSpec("a", "FP32", (-1, 9)), TensorSpec("b", "FP32", (-1, 4))),
            ("FP32 [N, 9]", "FP32 [N, 4]"),
        ),
        (
            (TensorSpec("a", "FP64", (-1, 4)), TensorSpec("b", "FP32", (-1, 4))),
            ("FP64 [N, 4]", "FP32 [N, 4]"),
        ),
        ((TensorSpec("a", "FP32", (-1, 4)), TensorSpec("c", "FP32", (-1, 4))), ("['a', 'c']", "['a', 'b']")),
        ((TensorSpec("a", "FP32", (-1, 4)),), ("['a']", "['a', 'b']")),
    ],
    ids=["width", "dtype", "name", "count"],
)
def test_declaration_that_disagrees(case: Case, folder: Path, declared: tuple, both: tuple[str, str]) -> None:
    artifact = replace(case.artifact(folder, "adder"), signature=Signature(declared, ()))
    with pytest.raises(ArtifactError) as caught:
        open_runtime(artifact)
    assert all(text in str(caught.value) for text in both)


@over(lambda case: case.states)
def test_declaration_that_agrees(case: Case, folder: Path) -> None:
    loose = tuple(TensorSpec(spec.name, spec.datatype, (-1, -1)) for spec in ADDER.inputs)
    assert (
        describe(replace(case.artifact(folder, "adder"), signature=Signature(loose, ADDER.outputs))) == ADDER
    )


def test_unknown_option(case: Case, folder: Path) -> None:
    artifact = case.artifact(folder, "adder")
    with pytest.raises(
        ArtifactError, match="takes no arguments" if case.kind == "python" else r"options\.typo"
    ):
        open_runtime(replace(artifact, options={**artifact.options, "typo": 1}))


def test_device(case: Case, folder: Path) -> None:
    artifact = case.artifact(folder, "adder")
    scorer = Scorer(open_runtime(replace(artifact, device="cpu")), artifact)
    assert not scorer.score(inputs_of(scorer.signature, 2)).failed
    scorer.close()
    if case.kind == "python":
        return  # the object decides
    if case.kind in ("identity", "rules", "triton") or not _has_gpu(case.kind):
        with pytest.raises(ArtifactError, match="cuda"):
            open_runtime(replace(artifact, device="cuda"))


def _has_gpu(kind: str) -> bool:
    if kind == "onnx":
        import onnxruntime

        return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    import torch

    return bool(torch.cuda.is_available())


@over(lambda case: case.damage is not None)
def test_closed_runtime_scores_no_more(case: Case, folder: Path) -> None:
    runtime = open_runtime(case.artifact(folder, "adder"))
    tensors = inputs_of(runtime.signature, 1)
    runtime.score(tensors)
    runtime.close()
    with pytest.raises(Exception):  # noqa: B017, PT011 - each framework has its own way to say that it is closed
        runtime.score(tensors)


@over(lambda case: case.kind == "triton")
@pytest.mark.parametrize("listens", [True, False], ids=["silent", "gone"])
def test_triton_that_goes_away_is_no_fault_of_the_rows(case: Case, folder: Path, listens: bool) -> None:
    artifact = replace(case.artifact(folder, "adder"), options={"timeout_s": 0.5})
    runtime = open_runtime(artifact)
    scorer = Scorer(runtime, artifact)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if listens:
            listener.listen()
        runtime._client = InferenceServerClient(f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unavailable, match="model 'm' is not available: Triton"):
            scorer.score(inputs_of(scorer.signature, 2))
    scorer.close()


@over(lambda case: case.kind == "triton")
def test_triton_is_reached_again_though_the_old_connection_never_ends(
    case: Case, folder: Path, triton_server: str
) -> None:
    forwarder = Forwarder(triton_server)
    path = f"grpc://{forwarder.address}/adder"
    artifact = replace(case.artifact(folder, "adder"), path=path, options={"timeout_s": 4.0})
    scorer = Scorer(open_runtime(artifact), artifact)
    tensors = inputs_of(scorer.signature, 2)
    scorer.score(tensors)
    forwarder.silence()
    with pytest.raises(Unavailable):
        scorer.score(tensors)
    assert not scorer.score(tensors).failed
    scorer.close()
    forwarder.close()
