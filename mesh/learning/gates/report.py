"""All gates, in the order in which they cost; the dear ones are spared where the file cannot be served at all."""

from collections.abc import Callable, Sequence

from mesh.learning.gates.artifact import latency, parity, schema
from mesh.learning.gates.benchmark import benchmark
from mesh.learning.gates.candidate import Candidate, Evidence
from mesh.learning.gates.feedback import feedback, recent_labels
from mesh.learning.plan import GatePolicy
from mesh.registry.version import GateResult


def examined(
    candidate: Candidate,
    evidence: Evidence,
    policy: GatePolicy,
    progress: Callable[[], None] = lambda: None,
) -> tuple[GateResult, ...]:
    """Every gate's result; after a failed schema no other. `progress` is called after each step."""
    first = schema(candidate, evidence)
    progress()
    if first.outcome == "failed":
        return (first,)
    results = [first, feedback(evidence)]
    steps: Sequence[Callable[[], Sequence[GateResult]]] = (
        lambda: [recent_labels(candidate, evidence, policy)],
        lambda: parity(candidate, evidence, policy),
        lambda: [latency(candidate, evidence, policy)],
        lambda: benchmark(candidate, evidence, policy),
    )
    for step in steps:
        results += step()
        progress()
    return tuple(results)


def verdict(results: Sequence[GateResult]) -> str:
    """In a sentence: passed, or which gates failed and by how much."""
    failed = [f"{one.gate}: {one.detail}" for one in results if one.outcome == "failed"]
    if failed:
        return "failed " + "; ".join(failed)
    unmeasured = [one.gate for one in results if one.outcome == "unmeasured"]
    return "passed" + (f"; too little to measure {', '.join(unmeasured)}" if unmeasured else "")
