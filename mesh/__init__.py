"""HyperStream Mesh: which model scores which row, and how the rows get there."""
