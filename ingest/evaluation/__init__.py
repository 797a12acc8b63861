"""How good is the telemetry chain, and how dear? Scenarios through the real stages, at full speed, in one process."""
