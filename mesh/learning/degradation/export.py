"""The regressor, its interval and its alarm as one ONNX file: features in, five numbers an asset out."""

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingRegressor

from mesh.learning.degradation.interval import Band
from mesh.learning.degradation.learner import Alarm
from mesh.learning.export import IR_VERSION, OPSET

OUTPUTS: Final = ("rul", "rul_low", "rul_high", "score", "confidence")
ML_OPSET: Final = 3


def to_onnx_bytes(
    regressor: HistGradientBoostingRegressor, band: Band, alarm: Alarm, features: int, name: str
) -> bytes:
    """The file's bytes: input `features` FP32 [N, F], outputs `OUTPUTS` FP32 [N] each, N dynamic.

    `score` is the alarm's probability; `confidence` is that of the likelier answer to "fails soon?", 0.5 to 1.
    """
    converted = to_onnx(
        regressor,
        initial_types=[("features", FloatTensorType([None, features]))],
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    ).graph
    graph = helper.make_graph(
        [*converted.node, *_nodes(converted.output[0].name)],
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N"]) for output in OUTPUTS],
        [*converted.initializer, *_constants(band, alarm)],
    )
    model = helper.make_model(
        graph,
        producer_name="hyperstream-mesh",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _nodes(predicted: str) -> list[onnx.NodeProto]:
    """From the trees' [N, 1] to the outputs; the band is a sum of hinges, one at each knot."""
    node = helper.make_node
    return [
        node("Reshape", [predicted, "flat"], ["unbounded"]),
        node("Relu", ["unbounded"], ["rul"]),
        node("Reshape", ["rul", "column"], ["rul_column"]),
        node("Sub", ["rul_column", "knots"], ["past_knot"]),
        node("Relu", ["past_knot"], ["hinges"]),
        node("MatMul", ["hinges", "bends"], ["bent"]),
        node("Add", ["bent", "widths_at_first"], ["widths"]),
        node("Gather", ["widths", "first"], ["below"], axis=1),
        node("Gather", ["widths", "second"], ["above"], axis=1),
        node("Sub", ["rul", "below"], ["low_unbounded"]),
        node("Relu", ["low_unbounded"], ["rul_low"]),
        node("Add", ["rul", "above"], ["rul_high"]),
        node("Sub", ["middle", "rul"], ["short_of_middle"]),
        node("Mul", ["short_of_middle", "steepness"], ["logit"]),
        node("Sigmoid", ["logit"], ["score"]),
        node("Sub", ["one", "score"], ["score_not"]),
        node("Max", ["score", "score_not"], ["confidence"]),
    ]


def _constants(band: Band, alarm: Alarm) -> list[onnx.TensorProto]:
    widths = np.stack([band.below, band.above], axis=1)
    slopes = np.diff(widths, axis=0) / np.diff(band.knots)[:, None]
    level = np.zeros((1, 2))
    bends = np.diff(np.vstack([level, slopes, level]), axis=0)
    floats = {
        "knots": band.knots[None, :],
        "bends": bends,
        "widths_at_first": widths[0],
        "middle": alarm.middle,
        "steepness": alarm.steepness,
        "one": 1.0,
    }
    whole = {"flat": [-1], "column": [-1, 1], "first": 0, "second": 1}
    return [
        *(numpy_helper.from_array(np.asarray(value, np.float32), key) for key, value in floats.items()),
        *(numpy_helper.from_array(np.asarray(value, np.int64), key) for key, value in whole.items()),
    ]
