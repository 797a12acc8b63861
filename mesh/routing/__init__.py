"""Which model scores which row? Pure: stdlib and numpy; no clock, socket, randomness or global state."""
