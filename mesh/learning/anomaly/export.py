"""The ensemble as one ONNX file: rows of features in, score, confidence and every sensor's contribution out."""

from typing import Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from mesh.learning.anomaly.curve import CAP, Curve
from mesh.learning.anomaly.ensemble import (
    AGREES_WITHIN,
    BOUND,
    LOUDEST,
    MEMBERS,
    POWER,
    Ensemble,
    Verdicts,
)

OPSET: Final = 17
IR_VERSION: Final = 8
"""Opset 17 and IR 8 load in ONNX Runtime 1.17 and later."""
OUTPUTS: Final = ("score", "confidence", "contribution")


def to_onnx_bytes(ensemble: Ensemble, name: str) -> bytes:
    """The file's bytes: input `features` FP32 [N, S·F], outputs `score` and `confidence` [N], `contribution` [N, S].

    N is dynamic. Values that are not finite are unknown; no output is ever NaN. What each number means is said in
    `mesh.learning.anomaly.ensemble`, whose float64 this is in float32.
    """
    sensors, features = ensemble.standard.median.shape
    graph = _Graph()
    _standardise(graph, ensemble)
    _look(graph, ensemble)
    _agree(graph, ensemble)
    tensor = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [tensor("features", TensorProto.FLOAT, ["N", sensors * features])],
            [
                tensor("score", TensorProto.FLOAT, ["N"]),
                tensor("confidence", TensorProto.FLOAT, ["N"]),
                tensor("contribution", TensorProto.FLOAT, ["N", sensors]),
            ],
            graph.constants,
        ),
        producer_name="hyperstream-mesh",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def score_onnx(model: bytes, features: np.ndarray) -> Verdicts:
    """What the file says, in float32, for `features` float32 [N, S·F]."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return Verdicts(*session.run(list(OUTPUTS), {"features": features}))


class _Graph:
    """Nodes and constants as they are added; each is named by what it holds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node with one output; its name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def floats(self, name: str, value: object) -> str:
        """Add a constant of float32; its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def whole(self, name: str, value: object) -> str:
        """Add a constant of int64; its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.int64), name))
        return name

    def clip(self, value: str, low: float, high: float, output: str) -> str:
        """Add `value` within `low` and `high`."""
        limits = [self.floats(f"{output}_low", low), self.floats(f"{output}_high", high)]
        return self.node("Clip", [value, *limits], output)

    def surprise(self, curve: Curve, distance: str, output: str) -> str:
        """Add a curve's surprise of a distance, as a sum of hinges."""
        total = ""
        for at, (knot, bend) in enumerate(zip(curve.knots, curve.bends, strict=True)):
            knots, bends = (
                self.floats(f"{output}_knot_{at}", knot),
                self.floats(f"{output}_bend_{at}", bend),
            )
            past = self.node("Sub", [distance, knots], f"{output}_past_{at}")
            hinge = self.node("Relu", [past], f"{output}_hinge_{at}")
            part = self.node("Mul", [hinge, bends], f"{output}_part_{at}")
            total = self.node("Add", [total, part], f"{output}_sum_{at}") if total else part
        return self.clip(total, 0.0, CAP, output)


def _standardise(graph: _Graph, ensemble: Ensemble) -> None:
    """From `features` to `known` (float) and `bare` scores, both [N, S, F]."""
    standard = ensemble.standard
    node = graph.node
    sensors, features = standard.median.shape
    values = node("Reshape", ["features", graph.whole("shape", [0, sensors, features])], "values")
    absent = node("Or", [node("IsNaN", [values], "nan"), node("IsInf", [values], "inf")], "absent")
    if standard.coverage is not None:
        place = graph.whole("coverage_place", [standard.coverage])
        coverage = node("Gather", [values, place], "coverage", axis=2)
        covered = node("Greater", [coverage, graph.floats("none", 0.0)], "covered")
        absent = node("Or", [absent, node("Not", [covered], "uncovered")], "absent_or_silent")
    safe = node("Where", [absent, graph.floats("median", standard.median), values], "safe")
    centred = node("Sub", [safe, "median"], "centred")
    scaled = node("Div", [centred, graph.floats("scale", standard.scale)], "scaled")
    graph.clip(scaled, -BOUND, BOUND, "bare")
    unknown = node("Cast", [absent], "unknown", to=TensorProto.FLOAT)
    node("Sub", [graph.floats("one", 1.0), unknown], "known")


def _residuals(graph: _Graph, scores: str, output: str) -> str:
    """[N, S, F] scores less what the other sensors make of them."""
    turned = graph.node("Transpose", [scores], f"{output}_turned", perm=[2, 0, 1])
    apart = graph.node("MatMul", [turned, "relations"], f"{output}_apart")
    return graph.node("Transpose", [apart], output, perm=[1, 2, 0])


def _look(graph: _Graph, ensemble: Ensemble) -> None:
    """From scores to each member's surprise, `member_i` [N, 1], and `contribution` [N, S]."""
    looks, node = ensemble.looks, graph.node
    graph.floats("relations", looks.relations.transpose(0, 2, 1))
    said = _residuals(graph, "bare", "said")
    guess = node("Mul", [node("Neg", [said], "reconstructed"), "unknown"], "guess")
    filled = node("Add", [node("Mul", ["bare", "known"], "read"), guess], "filled")
    away = node("Abs", [_residuals(graph, filled, "residual")], "away")
    apart = node("Mul", [graph.surprise(looks.residual_curve, away, "apart_all"), "known"], "apart")
    size = node("Abs", ["bare"], "size")
    alone = node("Mul", [graph.surprise(looks.score_curve, size, "alone_all"), "known"], "alone")
    both = node("Max", [apart, alone], "both")
    node("ReduceMax", [both], "contribution", axes=[2], keepdims=0)
    rows = graph.whole("rows", [0, looks.space.weights.shape[0]])
    node(
        "Reshape",
        [node("ReduceMax", [apart], "most", axes=[1, 2], keepdims=0), graph.whole("column", [0, 1])],
        "distance_0",
    )
    flat = node("Reshape", [alone, rows], "flat")
    graph.nodes.append(helper.make_node("TopK", [flat, graph.whole("loudest", [LOUDEST])], ["top", "top_at"]))
    node("ReduceMean", ["top"], "distance_1", axes=[1], keepdims=1)
    points = node(
        "MatMul",
        [node("Reshape", [filled, rows], "filled_rows"), graph.floats("space", looks.space.weights)],
        "points",
    )
    squares = node("ReduceSumSquare", [points], "squares", axes=[1], keepdims=1)
    for at, kept in ((2, looks.centres), (3, looks.kept)):
        _nearest(graph, points, squares, kept, f"distance_{at}")
    for at in range(len(MEMBERS)):
        graph.surprise(ensemble.curves[at], f"distance_{at}", f"member_{at}")


def _nearest(graph: _Graph, points: str, squares: str, kept: np.ndarray, output: str) -> None:
    """Euclidean distances [N, 1] to the nearest of `kept` [K, R]."""
    node = graph.node
    doubled = graph.floats(f"{output}_kept", -2 * kept.T)
    crossed = node("MatMul", [points, doubled], f"{output}_crossed")
    own = graph.floats(f"{output}_own", (kept**2).sum(axis=1))
    least = node(
        "ReduceMin",
        [node("Add", [crossed, own], f"{output}_with_own")],
        f"{output}_least",
        axes=[1],
        keepdims=1,
    )
    squared = node("Relu", [node("Add", [least, squares], f"{output}_sum")], f"{output}_squared")
    node("Sqrt", [squared], output)


def _agree(graph: _Graph, ensemble: Ensemble) -> None:
    """From members' surprises to `score` and `confidence`, both [N]."""
    node, floats = graph.node, graph.floats
    limit = -float(np.log1p(-ensemble.threshold))
    members = node("Concat", [f"member_{at}" for at in range(len(MEMBERS))], "members", axis=1)
    weights = floats("weights", ensemble.weights[:, None])
    power = node("Pow", [members, floats("power", POWER)], "powers")
    mean = node("MatMul", [power, weights], "power_mean")
    together = node("Pow", [mean, floats("root", 1 / POWER)], "together")
    surprise = graph.surprise(ensemble.together, together, "surprise")
    score = node(
        "Sub", ["one", node("Exp", [node("Neg", [surprise], "minus_surprise")], "tail")], "score_column"
    )
    graph.floats("limit", limit)
    above = node("GreaterOrEqual", [surprise, "limit"], "above")
    excess = node("Sub", [node("Div", [surprise, "limit"], "in_limits"), "one"], "excess")
    outside = graph.clip(excess, 0.0, 1.0, "margin_above")
    share = node("Div", [score, floats("threshold", ensemble.threshold)], "share_of_threshold")
    inside = node("Relu", [node("Sub", ["one", share], "short")], "margin_below")
    margin = node("Where", [above, outside, inside], "margin")
    off = node("Sub", [members, "limit"], "off")
    sides = graph.clip(node("Div", [off, floats("within", AGREES_WITHIN)], "leaning"), -1.0, 1.0, "sides")
    side = node("MatMul", [sides, weights], "side")
    with_it = node("Where", [above, side, node("Neg", [side], "against")], "with_it")
    half = floats("half", 0.5)
    agreement = node("Mul", [node("Add", ["one", with_it], "one_and_with"), half], "agreement")
    sure = node("Mul", [node("Add", ["one", agreement], "one_and_agreement"), half], "sure")
    share_known = node("ReduceMean", ["known"], "known_share", axes=[1, 2], keepdims=0)
    known = node("Reshape", [share_known, "column"], "known_column")
    confident = node("Mul", [node("Mul", [margin, sure], "margin_sure"), known], "confidence_column")
    single = graph.whole("single", [1])
    node("Squeeze", [score, single], "score")
    node("Squeeze", [confident, single], "confidence")
