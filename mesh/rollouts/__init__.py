"""Rollouts: a candidate takes a model's place step by step, by evidence, or goes back. See `docs/rollouts.md`.

What decides is **pure**: `plan`, `states`, `machine`, `staging`, `tally`, `judging`, `record` and `statistics` know no clock,
socket, store or Ray. `controller` does what they decide through the `ports`.
"""
