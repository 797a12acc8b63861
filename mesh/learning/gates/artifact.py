"""The file's side: does it take and answer what the mesh sends and reads, say what its original says, and answer in time?"""

import time
from typing import Final

import numpy as np

from mesh.learning.anomaly.evaluate import flips
from mesh.learning.gates.candidate import Candidate, Evidence
from mesh.learning.plan import GatePolicy
from mesh.registry.version import GateResult

_RUNS: Final = 41
_ROWS: Final = 20_000


def schema(candidate: Candidate, evidence: Evidence) -> GateResult:
    """`schema`: the input's columns and digest, the outputs, and finite answers to unknown values."""
    layout = evidence.layout
    width, sensors = len(layout.names), len(layout.sensors)
    problems = []
    if candidate.features != layout.digest:
        problems.append(f"takes columns of digest {candidate.features}, the view has {layout.digest}")
    inputs = [(one.name, one.type, one.shape[1:]) for one in candidate.session.get_inputs()]
    outputs = [(one.name, one.type, one.shape[1:]) for one in candidate.session.get_outputs()]
    expected = [
        ("score", "tensor(float)", []),
        ("confidence", "tensor(float)", []),
        ("contribution", "tensor(float)", [sensors]),
    ]
    if inputs != [("features", "tensor(float)", [width])]:
        problems.append(f"takes {inputs}, expected features [N, {width}] float")
    if outputs != expected:
        problems.append(f"answers {outputs}, expected {expected}")
    if not problems:
        unknown = np.full((2, width), np.nan, np.float32)
        answers = candidate.session.run(None, {"features": unknown})
        if not all(np.isfinite(one).all() for one in answers):
            problems.append("answers unknown values with what is not finite")
    said = "; ".join(problems) or f"features [N, {width}], digest {layout.digest}, three outputs"
    return GateResult("schema", "failed" if problems else "passed", len(problems), 0, said)


def parity(candidate: Candidate, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    """`parity-score` and `parity-flips`: the file's float32 against the original's float64, on the benchmark's windows."""
    if candidate.ensemble is None:
        said = "there is no float64 original to compare with"
        return [GateResult(name, "unmeasured", None, None, said) for name in ("parity-score", "parity-flips")]
    trial = evidence.benchmark
    each = max(1, _ROWS // max(1, len(trial.faulty) + len(trial.healthy)))
    values = np.concatenate([one.values[:each] for one in (*trial.faulty, *trial.healthy)])
    exact = np.concatenate(
        [
            candidate.ensemble.judge(values[begin : begin + 2_000]).score
            for begin in range(0, len(values), 2_000)
        ]
    )
    ours = candidate.scores(values.reshape(len(values), -1))
    largest = float(np.abs(ours - exact).max())
    flipped = flips(ours, exact, evidence.threshold) / len(values)
    return [
        GateResult(
            "parity-score",
            "passed" if largest <= policy.difference else "failed",
            largest,
            policy.difference,
            f"scores differ by {largest:.1e} at most, {policy.difference:.1e} allowed",
        ),
        GateResult(
            "parity-flips",
            "passed" if flipped <= policy.flips else "failed",
            flipped,
            policy.flips,
            f"{flipped:.5f} of {len(values):,} decisions at {evidence.threshold:g} differ, {policy.flips:g} allowed",
        ),
    ]


def latency(candidate: Candidate, evidence: Evidence, policy: GatePolicy) -> GateResult:
    """`latency`: calls of `latency_rows` rows, in turns with the champion's so that a busy machine slows both."""
    trial = evidence.benchmark
    pool = np.concatenate([one.flat for one in (*trial.healthy, *trial.faulty)][:4])
    rows = np.resize(pool, (policy.latency_rows, pool.shape[1])).astype(np.float32)
    models = [candidate] if evidence.champion is None else [candidate, evidence.champion]
    taken: list[list[float]] = [[] for _ in models]
    for _ in range(_RUNS):
        for times, model in zip(taken, models, strict=True):
            began = time.perf_counter()
            model.session.run(["score"], {"features": rows})
            times.append((time.perf_counter() - began) * 1e3)
    ours = [float(np.median(times[1:])) for times in taken]
    tail = float(np.quantile(taken[0][1:], 0.95))
    said = f"{tail:.1f} ms for {policy.latency_rows} rows at p95, {policy.latency_ms:g} allowed"
    if tail > policy.latency_ms:
        said = f"{said}: {tail - policy.latency_ms:.1f} ms too slow"
        return GateResult("latency", "failed", tail, policy.latency_ms, said)
    if len(ours) == 2:
        ratio = ours[0] / ours[1]
        said += f"; median {ratio:.2f} times the champion's, {policy.slower:g} allowed"
        if ratio > policy.slower:
            return GateResult("latency", "failed", ratio, policy.slower, said)
    return GateResult("latency", "passed", tail, policy.latency_ms, said)
