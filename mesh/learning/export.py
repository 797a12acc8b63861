"""A fitted scikit-learn pipeline as the ONNX file that the mesh hosts: `features` in, `probabilities` out."""

import onnx
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.pipeline import Pipeline

from mesh.learning.turbofan import CLASSES, FEATURES

OPSET = 17
IR_VERSION = 8
"""Opset 17 and IR 8 load in ONNX Runtime 1.17 and later."""


def to_onnx_bytes(pipeline: Pipeline, name: str) -> bytes:
    """The file's bytes: input `features` FP32 [N, 24], output `probabilities` FP32 [N, 2], N dynamic.

    The same fitted pipeline gives the same bytes.
    """
    converted = to_onnx(
        pipeline,
        initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
        options={id(pipeline): {"zipmap": False}},
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        name=name,
    )
    # skl2onnx also gives the class label; the mesh derives labels from probabilities for every model alike.
    graph = select_model_inputs_outputs(converted, ["probabilities"]).graph
    model = helper.make_model(
        helper.make_graph(
            list(graph.node),
            name,
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(FEATURES)])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(CLASSES)])],
            _used(graph),
        ),
        producer_name="hyperstream-mesh",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 1)],
    )
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _used(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The constants that a node still reads, now that the label is gone."""
    read = {name for node in graph.node for name in node.input}
    return [constant for constant in graph.initializer if constant.name in read]
