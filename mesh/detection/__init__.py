"""Does a series still behave as it did? Anomaly scores of values as they come, learnt from the past alone."""
