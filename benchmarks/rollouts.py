"""`rollout-*`: do rollouts err as rarely as they promise, and how soon do they decide?

Rows of an asset are alike: a hidden state wanders (AR(1), 0.9 from row to row), both models see it through noise of their own,
and a window of 30 rows alerts where any of its rows does. After every batch (one window of each of 20 assets, 40 calls of each
model) the rollout's own code looks. `null` is a candidate that is another draw of
the same model; `margin` one that is exactly as much worse as is allowed, where promoting it and rolling it back are both wrong.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from multiprocessing import get_context
from typing import Final

import numpy as np
from rich.console import Console

from benchmarks.results import Row, at_most, reaches
from mesh.rollouts.judging import judge
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.statistics.quantiles import Histogram
from mesh.rollouts.tally import Counted, Observations, PairSeen, Tally

RUNS: Final = 2_000
ASSETS, WINDOWS, WINDOW_ROWS, CALLS = 20, 100, 30, 40
ALPHA: Final = 0.05
MARGIN: Final = 0.03
ROW_TO_ROW: Final = 0.9
CALL_TO_CALL: Final = 0.5
THRESHOLD: Final = 3.2
REVIEWED: Final = 0.05
Z_95: Final = 1.6448536269514722

PLAN: Final = Plan(
    "bench",
    "default",
    "old",
    "new",
    AlertRule(0.5),
    (Step("canary", percent=50.0), Step("promote")),
    (
        Metric("alerts", "alert_disagreement", margin=MARGIN),
        Metric("apart", "discordance", margin=0.25),
        Metric("latency", "latency", margin=0.25),
        Metric("errors", "error_rate", margin=0.05),
        Metric("fpr", "reviewed_fpr", margin=0.25),
    ),
    alpha=ALPHA,
)


@dataclass(frozen=True, slots=True)
class Run:
    """Batches until the first look that says so, None where none of WINDOWS did: failure, success of all, a naive failure."""

    failure: int | None
    success: int | None
    naive: int | None


def alerts(random: np.random.Generator, runs: int, lower: float) -> tuple[np.ndarray, np.ndarray]:
    """Alerts of both, bool [runs, WINDOWS, ASSETS]; the candidate's threshold is lower by `lower`."""
    shape = (runs, ASSETS)
    state = random.standard_normal(shape)
    step = sqrt(1.0 - ROW_TO_ROW**2)
    mine = np.zeros((WINDOWS, *shape), np.bool_)
    theirs = np.zeros((WINDOWS, *shape), np.bool_)
    for window in range(WINDOWS):
        for _ in range(WINDOW_ROWS):
            state = ROW_TO_ROW * state + step * random.standard_normal(shape)
            mine[window] |= state + 0.5 * random.standard_normal(shape) > THRESHOLD
            theirs[window] |= state + 0.5 * random.standard_normal(shape) > THRESHOLD - lower
    return mine.swapaxes(0, 1), theirs.swapaxes(0, 1)


def threshold_for(shift: float) -> float:
    """How much lower the candidate's threshold must be for so much larger a share of windows with an alert."""
    random, runs = np.random.default_rng(7), 400
    low, high = 0.0, 1.5
    for _ in range(14):
        middle = (low + high) / 2
        mine, theirs = alerts(np.random.default_rng(random.integers(1 << 31)), runs, middle)
        if theirs.mean() - mine.mean() < shift:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def latencies(random: np.random.Generator, slower: float) -> np.ndarray:
    """Milliseconds [WINDOWS, CALLS] of calls that resemble the call before."""
    noise = random.standard_normal(WINDOWS * CALLS)
    state, step = np.empty_like(noise), sqrt(1.0 - CALL_TO_CALL**2)
    state[0] = noise[0]
    for place in range(1, len(noise)):
        state[place] = CALL_TO_CALL * state[place - 1] + step * noise[place]
    return (slower * np.exp(1.0 + 0.3 * state)).reshape(WINDOWS, CALLS)


def observed(random: np.random.Generator, mine: np.ndarray, theirs: np.ndarray) -> Iterator[Tally]:
    """The tally of one run after each batch; `mine` and `theirs` are bool [WINDOWS, ASSETS]."""
    times = {"primary": latencies(random, 1.0), "candidate": latencies(random, 1.0)}
    tally = Tally()
    for window in range(WINDOWS):
        seen = Observations(
            latencies={
                arm: Histogram().with_values(values[window].tolist()) for arm, values in times.items()
            },
            counted={
                "error_rate": {
                    "primary": Counted(int(random.binomial(CALLS, 0.01)), CALLS),
                    "candidate": Counted(int(random.binomial(CALLS, 0.01)), CALLS),
                },
                "reviewed_fpr": {
                    "primary": reviewed(random, mine[window]),
                    "candidate": reviewed(random, theirs[window]),
                },
            },
        )
        both = int((mine[window] & theirs[window]).sum())
        one, other = int(mine[window].sum()) - both, int(theirs[window].sum()) - both
        counted = tally.with_seen(seen, 0, 1_000)
        tally = Tally(
            counted.both + both,
            counted.only_primary + one,
            counted.only_candidate + other,
            counted.neither + ASSETS - both - one - other,
            counted.latencies,
            counted.counted,
        )
        yield tally


def reviewed(random: np.random.Generator, alerted: np.ndarray) -> Counted:
    """People look at some windows of machines that are all healthy: each alert among them is false."""
    looked_at = random.random(ASSETS) < 10 * REVIEWED
    return Counted(int((alerted & looked_at).sum()), int(looked_at.sum()))


def one_run(random: np.random.Generator, mine: np.ndarray, theirs: np.ndarray) -> Run:
    """Look after every batch, and go on looking whatever was seen."""
    failure = success = naive = None
    for number, tally in enumerate(observed(random, mine, theirs), 1):
        verdicts = [one.verdict for one in judge(PLAN, tally)]
        if failure is None and "failure" in verdicts:
            failure = number
        if success is None and set(verdicts) == {"success"}:
            success = number
        if naive is None and repeated_z(tally):
            naive = number
    return Run(failure, success, naive)


def repeated_z(tally: Tally) -> bool:
    """McNemar's z test of the margin, one-sided at ALPHA, as if there were only this look."""
    n = tally.pairs
    shift = (tally.only_candidate - tally.only_primary) / n
    spread = (tally.only_candidate + tally.only_primary) / n - shift**2
    return spread > 0 and (shift - MARGIN) / sqrt(spread / n) > Z_95


def some_runs(lower: float, block: tuple[int, int]) -> list[Run]:
    """A block of so many runs of one seed."""
    runs, seed = block
    random = np.random.default_rng(seed)
    mine, theirs = alerts(random, runs, lower)
    return [one_run(random, mine[run], theirs[run]) for run in range(runs)]


def many_runs(lower: float, runs: int, seed: int) -> list[Run]:
    """Runs in blocks of a hundred, over two processes."""
    blocks = [(min(100, runs - done), seed * 1_000_000 + done) for done in range(0, runs, 100)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return [run for block in pool.map(partial(some_runs, lower), blocks) for run in block]


def share(taken: Sequence[int | None]) -> float:
    """The share of runs in which it was ever said."""
    return sum(one is not None for one in taken) / len(taken)


def median(taken: Sequence[int | None]) -> float:
    """Windows until half of the runs had said it; infinity where fewer ever did."""
    return statistics.median([float("inf") if one is None else float(one * ASSETS) for one in taken])


def fixed_horizon(shift: float, discordant: float, power_z: float = 1.2815515655446004) -> float:
    """Windows that a z test with one look at the end needs to find `shift` above MARGIN nine times in ten."""
    share = PLAN.failure_alpha(PLAN.metrics[0])
    z = statistics.NormalDist().inv_cdf(1.0 - share)
    spread = discordant - shift**2
    return ((z + power_z) ** 2) * spread / (shift - MARGIN) ** 2


def look_ms() -> list[float]:
    """One look of the controller at 1,000 windows that have just ended, over a histogram of 100,000 calls."""
    random = np.random.default_rng(1)
    tally = Tally(latencies={
        arm: Histogram().with_values(np.exp(random.standard_normal(100_000)).tolist()) for arm in ("primary", "candidate")
    })  # fmt: skip
    taken = []
    for _ in range(20):
        pairs = tuple(PairSeen(f"u{n}", 1, n % 9 == 0, n % 10 == 0) for n in range(1_000))
        began = time.perf_counter()
        looked(PLAN, Evidence(tally), [Observations(pairs=pairs)], {}, 10_000_000)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def measure(console: Console, runs: int = RUNS) -> list[Row]:
    """The rows of the table."""
    at_margin, worse = threshold_for(MARGIN), threshold_for(4 * MARGIN)
    console.print(
        f"thresholds lower by {at_margin:.3f} (at the margin) and {worse:.3f} (four times the margin)"
    )
    null, edge = many_runs(0.0, runs, 1), many_runs(at_margin, runs, 2)
    bad = many_runs(worse, runs // 4, 3)
    mine, theirs = alerts(np.random.default_rng(11), 400, worse)
    discordant, shift = float((mine ^ theirs).mean()), float(theirs.mean() - mine.mean())
    fixed, ours = fixed_horizon(shift, discordant), median([run.failure for run in bad])
    looks = f"{runs:,} runs, {WINDOWS} looks each"
    naive = f"repeated z tests on these runs: {share([run.naive for run in edge]):.3f}"
    good = [run.success for run in null]
    return [
        at_most("rollout-null-rollback", "of runs", [share([run.failure for run in null])], ALPHA, looks),
        at_most("rollout-margin-rollback", "of runs", [share([run.failure for run in edge])], ALPHA, naive),
        at_most("rollout-margin-promotion", "of runs", [share([run.success for run in edge])], ALPHA, looks),
        reaches("rollout-null-promotion", "of runs", share(good), 0.9, f"median {median(good):,.0f} windows"),
        reaches(
            "rollout-worse-rollback", "of runs", share([run.failure for run in bad]), 0.9,
            f"{shift:.3f} more alerts, {MARGIN} allowed",
        ),
        Row(
            "rollout-worse-windows", "windows", ours, "fixed horizon, power 0.9", ceil(fixed), ours / fixed, "<= 3x",
            ours / fixed <= 3.0, f"median until rolled back; {discordant:.3f} of windows differ",
        ),
        at_most("rollout-look", "ms", look_ms(), 50.0, "1,000 windows ended, 5 metrics"),
    ]  # fmt: skip
