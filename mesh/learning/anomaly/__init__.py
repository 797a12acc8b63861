"""Does a window of telemetry look like those of healthy machines? Four members, one calibrated score, an ONNX file."""

from mesh.learning.anomaly.card import card_text, model_card
from mesh.learning.anomaly.ensemble import Ensemble, Verdicts
from mesh.learning.anomaly.evaluate import Quality, measure
from mesh.learning.anomaly.export import score_onnx, to_onnx_bytes
from mesh.learning.anomaly.train import Recipe, Trained, train
from mesh.learning.anomaly.windows import Episode, Layout, WindowCollector, WindowSet

__all__ = [
    "Ensemble",
    "Episode",
    "Layout",
    "Quality",
    "Recipe",
    "Trained",
    "Verdicts",
    "WindowCollector",
    "WindowSet",
    "card_text",
    "measure",
    "model_card",
    "score_onnx",
    "to_onnx_bytes",
    "train",
]
