"""What would machines say? Healthy telemetry and faults in it. Pure: the same seed gives the same values."""
