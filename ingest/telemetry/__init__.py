"""From raw telemetry to features and alerts: a pool of readers whose state follows its partitions."""
