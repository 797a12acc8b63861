"""Write the networks that the benchmarks serve: `python -m benchmarks.make_models` (needs onnx).

`models/mlp-<widths>.onnx`: input `x` FP32 [N, first], a Gemm per layer with Relu between, Softmax at the end;
output `probabilities` FP32 [N, last]. One frozen seed: the same bytes every time, and the same weights as the
models that the benchmarks' peers run.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 20261122
FOLDER = Path(__file__).resolve().parent / "models"
WIDTHS = ((16, 64, 4), (784, 32, 32, 32, 10))


def network(widths: tuple[int, ...]) -> bytes:
    """The file for these layer widths."""
    draw = np.random.RandomState(SEED)  # the old generator on purpose: numpy keeps its stream as it is
    nodes, constants, value = [], [], "x"
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        weight = draw.standard_normal((fan_in, fan_out)) * np.sqrt(2 / fan_in)
        bias = draw.standard_normal(fan_out) * 0.1
        constants += [
            numpy_helper.from_array(weight.astype(np.float32), f"weight{index}"),
            numpy_helper.from_array(bias.astype(np.float32), f"bias{index}"),
        ]
        if index:
            nodes.append(helper.make_node("Relu", [value], [f"relu{index}"]))
            value = f"relu{index}"
        nodes.append(helper.make_node("Gemm", [value, f"weight{index}", f"bias{index}"], [f"gemm{index}"]))
        value = f"gemm{index}"
    nodes.append(helper.make_node("Softmax", [value], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        f"mlp-{_joined(widths)}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", widths[0]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", widths[-1]])],
        constants,
    )
    model = helper.make_model(
        graph, producer_name="make_model", ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def file_of(widths: tuple[int, ...]) -> Path:
    """Where the network of these widths lies."""
    return FOLDER / f"mlp-{_joined(widths)}.onnx"


def _joined(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for widths in WIDTHS:
        file_of(widths).write_bytes(network(widths))
        print(file_of(widths).name, file_of(widths).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
