"""Which stages turn readings into alerts, in what order, and how far at which level? The plan of the telemetry chain. Pure."""
