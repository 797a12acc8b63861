"""What do we promise, and how fast is the promise being broken? Objectives to Prometheus rules. Pure: stdlib."""
