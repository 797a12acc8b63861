"""The stages of the telemetry chain, one file each: functions of (state, batch, now), free of Kafka and Ray."""
