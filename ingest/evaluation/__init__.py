"""How good is the chain? Telemetry with a known truth, played through the real chain at full speed, and its alerts judged."""
