"""How many cycles an asset has left: window features, a boosted regressor, a conformal interval, an ONNX file."""

from mesh.learning.degradation.card import model_card
from mesh.learning.degradation.evaluate import Quality, measure
from mesh.learning.degradation.fleet import Fleet, read_fleet, read_remaining
from mesh.learning.degradation.train import Trained, score_onnx, train
from mesh.learning.degradation.windows import Windows, latest_features, window_features

__all__ = [
    "Fleet",
    "Quality",
    "Trained",
    "Windows",
    "latest_features",
    "measure",
    "model_card",
    "read_fleet",
    "read_remaining",
    "score_onnx",
    "train",
    "window_features",
]
