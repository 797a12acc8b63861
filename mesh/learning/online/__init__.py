"""Light updates between trainings: a calibration that learns from each label once. **Pure**: stdlib and numpy."""
