"""How the stream moves: Kafka in, one tensor per endpoint and batch, Redis out, and not one record lost."""
