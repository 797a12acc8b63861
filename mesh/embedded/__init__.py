"""Servers that a launcher starts and owns: a demo broker, Redis, a real Kafka from an unpacked release."""
