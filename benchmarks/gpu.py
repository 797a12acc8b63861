"""GPU rows: what a Scorer adds to a model on a GPU, beside a bare loop that makes the same copies.

`python -m benchmarks.gpu` prints one JSON row a line; without a CUDA device each row says that it was skipped.
`--device cpu` runs the same code with small batches, to check the script itself.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from benchmarks.results import Row, at_least, skipped
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer

Device = Literal["cpu", "cuda"]
Call = Callable[[np.ndarray], np.ndarray]
TARGET = 0.9
ROUNDS = 5
UNIT = "rows/s"


@dataclass(frozen=True, slots=True)
class Work:
    """A network, the shape of one row, and the rows of a call on a GPU and, to check the script, on a CPU."""

    name: str
    build: Callable[[ModuleType], Any]
    row: tuple[int, ...]
    rows: int
    rows_on_cpu: int


def mlp(torch: ModuleType) -> Any:
    """784-512-512-10."""
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10), nn.Softmax(dim=1)
    )


def resnet50(torch: ModuleType) -> Any:
    """The 50-layer residual network (He et al. 2016, table 1; stride in the 3x3 convolution), random weights."""
    nn = torch.nn

    def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> list[Any]:
        layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
        return [layer, nn.BatchNorm2d(outputs)]

    class Bottleneck(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            first, second = convolution(inputs, width, 1), convolution(width, width, 3, stride)
            self.body = nn.Sequential(
                *first, nn.ReLU(), *second, nn.ReLU(), *convolution(width, 4 * width, 1)
            )
            same = inputs == 4 * width and stride == 1
            self.short = nn.Identity() if same else nn.Sequential(*convolution(inputs, 4 * width, 1, stride))

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.short(x))

    layers = [*convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if stage and not block else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


WORKS = (Work("mlp", mlp, (784,), 4096, 64), Work("resnet50", resnet50, (3, 224, 224), 32, 1))


def rows(device: Device = "cuda") -> list[Row]:
    """One row per framework and network: rows per second through a Scorer against the bare loop."""
    try:
        import torch
    except ImportError:
        return _all_skipped("skipped: torch is not installed")
    if device == "cuda" and not torch.cuda.is_available():
        return _all_skipped("skipped: no CUDA device")
    with tempfile.TemporaryDirectory() as folder:
        return [row for work in WORKS for row in _measure(torch, work, Path(folder), device)]


def _measure(torch: ModuleType, work: Work, folder: Path, device: Device) -> list[Row]:
    count = work.rows if device == "cuda" else work.rows_on_cpu
    seconds = 2.0 if device == "cuda" else 0.2
    torch.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((count, *work.row), dtype=np.float32)
    script, graph = _files(torch, work, folder)
    note = f"{work.name}, {count} rows a call, {torch.cuda.get_device_name() if device == 'cuda' else 'CPU'}"
    ours, theirs = _compare(
        _scorer("torch", script, work, device), _bare_torch(torch, script, device), x, seconds
    )
    found = [at_least(_id("torch", work), UNIT, ours, "bare torch loop", theirs, TARGET, note)]
    try:
        bare = _bare_onnx(graph, device)
    except ImportError as error:
        return [*found, skipped(_id("onnx", work), UNIT, f"skipped: {error}")]
    ours, theirs = _compare(_scorer("onnx", graph, work, device), bare, x, seconds)
    return [*found, at_least(_id("onnx", work), UNIT, ours, "bare ONNX Runtime loop", theirs, TARGET, note)]


def _files(torch: ModuleType, work: Work, folder: Path) -> tuple[Path, Path]:
    """The network as TorchScript and as ONNX, with a dynamic batch."""
    network, example = work.build(torch).eval(), torch.zeros(2, *work.row)
    script, graph = folder / f"{work.name}.pt", folder / f"{work.name}.onnx"
    dynamic = {"x": {0: "N"}, "y": {0: "N"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both ways of writing are deprecated; both kinds of file are served
        torch.jit.trace(network, example).save(str(script))
        torch.onnx.export(
            network,
            (example,),
            str(graph),
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=dynamic,
            dynamo=False,
        )
    return script, graph


def _scorer(kind: Literal["torch", "onnx"], path: Path, work: Work, device: Device) -> Call:
    signature = Signature((TensorSpec("x", "FP32", (-1, *work.row)),), ())
    artifact = Artifact("bench", kind, path=str(path), device=device, signature=signature)
    scorer = Scorer(open_runtime(artifact), artifact)
    name = scorer.signature.outputs[0].name
    return lambda x: scorer.score({"x": x}).outputs[name]


def _bare_torch(torch: ModuleType, path: Path, device: Device) -> Call:
    network = torch.jit.load(str(path), map_location=device).eval()

    def call(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            answer: np.ndarray = network(torch.from_numpy(x).to(device)).cpu().numpy()
            return answer

    return call


def _bare_onnx(path: Path, device: Device) -> Call:
    import onnxruntime as ort

    provider = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    if provider not in ort.get_available_providers():
        raise ImportError("no CUDA in this onnxruntime (install onnxruntime-gpu)")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), settings, providers=[provider])
    return lambda x: session.run(None, {"x": x})[0]


def _compare(ours: Call, theirs: Call, x: np.ndarray, seconds: float) -> tuple[list[float], list[float]]:
    """Rows per second of both, in turns; they must give the same answer."""
    for call in (ours, theirs, ours, theirs):
        call(x)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-3, atol=1e-3)
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        samples[0].append(_rate(ours, x, seconds))
        samples[1].append(_rate(theirs, x, seconds))
    return samples


def _rate(call: Call, x: np.ndarray, seconds: float) -> float:
    started, calls = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds:
        call(x)
        calls += 1
    return calls * len(x) / took


def _id(framework: str, work: Work) -> str:
    return f"gpu-{framework}" if work is WORKS[0] else f"gpu-{framework}-{work.name}"


def _all_skipped(reason: str) -> list[Row]:
    return [skipped(_id(framework, work), UNIT, reason) for work in WORKS for framework in ("torch", "onnx")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rows as JSON lines."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    asked = parser.parse_args(arguments)
    for row in rows(asked.device):
        print(json.dumps(asdict(row)), flush=True)


if __name__ == "__main__":
    main()
