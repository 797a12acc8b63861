"""What people decided, as something to learn from: labels, whose count, windows to keep knowing, training sets with lineage."""
