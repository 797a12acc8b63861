"""What sensors say, as arrays: one grid per asset, filtered, in windows, as features. Pure: stdlib, numpy and PyWavelets.

Every part is causal and keeps its state in rows of arrays, one row an asset, so that a thousand assets cost what one does and
an asset's state is a run of bytes. The same code serves the stream, training and evaluation.
"""

from mesh.signals.features import FEATURES, FeatureExtractor, feature_names
from mesh.signals.kalman import KalmanFilter, KalmanNoise
from mesh.signals.sampling import DeltaSampler
from mesh.signals.sensors import Grid, Readings, SamplingRules, Sensor, Steps
from mesh.signals.slots import Column, SlotArrays
from mesh.signals.synchronise import Synchronised, Synchroniser
from mesh.signals.windows import WindowCutter, Windows

__all__ = [
    "FEATURES",
    "Column",
    "DeltaSampler",
    "FeatureExtractor",
    "Grid",
    "KalmanFilter",
    "KalmanNoise",
    "Readings",
    "SamplingRules",
    "Sensor",
    "SlotArrays",
    "Steps",
    "Synchronised",
    "Synchroniser",
    "WindowCutter",
    "Windows",
    "feature_names",
]
