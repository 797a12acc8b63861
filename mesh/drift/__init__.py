"""Has a stream changed? Two detectors over single numbers, and a watch over many streams. **Pure**: stdlib and numpy."""

from mesh.drift.adwin import Adwin
from mesh.drift.page_hinkley import PageHinkley
from mesh.drift.watch import Alarm, DriftPolicy, DriftWatch

__all__ = ["Adwin", "Alarm", "DriftPolicy", "DriftWatch", "PageHinkley"]
