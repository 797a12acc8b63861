"""Threshold rules on columns: a model that people can read, with a calibrated confidence."""

import math
from collections.abc import Mapping

import numpy as np

from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import bad_option, check_options, positive_number, refuse_cuda, text_option

_KNOWN = ("columns", "rules", "scale", "steepness", "calibration", "input")


class RulesRuntime:
    """Flags a row when a column is past a threshold, by how far, and says how sure it is.

    Options: `columns: [names]` of the input `features` FP32 [N, len(columns)] (`input` renames it); `rules:
    [{column: NAME, above: x} | {column: NAME, below: x}]`; `scale: {NAME: s}`, what counts as far in a column
    (1); `steepness` (1) and `calibration` (1), numbers above 0.

    A rule's margin is m_r = (value - above) / scale, or (below - value) / scale; the row's is m = max_r m_r.
    Outputs: `probabilities` FP32 [N, 2] = (1 - p, p) with p = 1 / (1 + exp(-steepness * m)), and `confidence`
    FP32 [N] = 1 - exp(-|m| / calibration). Both are NaN where a column that a rule reads is not finite.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact, *_KNOWN)
        refuse_cuda(artifact)
        columns = _columns(artifact)
        scale = _scale(artifact, columns)
        rules = [_rule(artifact, number, columns) for number in range(len(_rules(artifact)))]
        self._input = text_option(artifact, "input", "features")
        self._used = np.array([columns.index(column) for column, _, _ in rules], dtype=np.intp)
        self._thresholds = np.array([threshold for _, threshold, _ in rules])
        self._per_unit = np.array([sign / scale.get(column, 1.0) for column, _, sign in rules])
        self._steepness = positive_number(artifact, "steepness", 1.0)
        self._calibration = positive_number(artifact, "calibration", 1.0)
        stated = Signature(
            (TensorSpec(self._input, "FP32", (-1, len(columns))),),
            (TensorSpec("probabilities", "FP32", (-1, 2)), TensorSpec("confidence", "FP32", (-1,))),
        )
        self._signature = agreed(artifact, stated)

    @property
    def signature(self) -> Signature:
        """As the class says."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Probabilities and confidence of all rows."""
        values = tensors[self._input][:, self._used].astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        margin = ((values - self._thresholds) * self._per_unit).max(axis=1)
        probabilities = np.empty((len(margin), 2), dtype=np.float32)
        # The sigmoid, without overflow
        probabilities[:, 1] = p = 0.5 + 0.5 * np.tanh(0.5 * self._steepness * margin)
        probabilities[:, 0] = 1.0 - p
        confidence = -np.expm1(-np.abs(margin) / self._calibration)
        return {"probabilities": probabilities, "confidence": confidence.astype(np.float32)}

    def close(self) -> None:
        """Nothing is held."""


def _columns(artifact: Artifact) -> list[str]:
    columns = artifact.options.get("columns")
    named = (
        isinstance(columns, list | tuple)
        and columns
        and all(isinstance(name, str) and name for name in columns)
    )
    if not isinstance(columns, list | tuple) or not named or len(set(columns)) != len(columns):
        raise bad_option(artifact, "columns", "a list of different names, in the order of the input", columns)
    return list(columns)


def _rules(artifact: Artifact) -> list[object]:
    rules = artifact.options.get("rules")
    if not isinstance(rules, list | tuple) or not rules:
        raise bad_option(artifact, "rules", "a list such as [{column: NAME, above: 0.5}]", rules)
    return list(rules)


def _rule(artifact: Artifact, number: int, columns: list[str]) -> tuple[str, float, float]:
    """Column, threshold, and the direction: 1 for above, -1 for below."""
    rule, where = _rules(artifact)[number], f"rules[{number}]"
    if not isinstance(rule, Mapping) or set(rule) not in ({"column", "above"}, {"column", "below"}):
        raise bad_option(artifact, where, "{column: NAME, above: x} or {column: NAME, below: x}", rule)
    if rule["column"] not in columns:
        raise bad_option(artifact, f"{where}.column", f"one of {columns}", rule["column"])
    side = "above" if "above" in rule else "below"
    threshold = rule[side]
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not math.isfinite(threshold):
        raise bad_option(artifact, f"{where}.{side}", "a finite number", threshold)
    return rule["column"], float(threshold), 1.0 if side == "above" else -1.0


def _scale(artifact: Artifact, columns: list[str]) -> dict[str, float]:
    scale = artifact.options.get("scale", {})
    if not isinstance(scale, Mapping):
        raise bad_option(artifact, "scale", "{NAME: s} with numbers above 0", scale)
    for name, size in scale.items():
        if name not in columns:
            raise bad_option(artifact, f"scale.{name}", f"one of {columns}", name)
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf:
            raise bad_option(artifact, f"scale.{name}", "a number above 0", size)
    return {name: float(size) for name, size in scale.items()}
