"""`routing-1`, `routing-256`: what it costs to decide which model answers which row, with the documented routing file.

A decision is everything up to knowing the models of every row: three conditions, the canary's share by string keys,
one model's answer taken in. The note gives the whole cascade, driven with canned results to the finished answer.
"""

import timeit
from collections.abc import Callable

import numpy as np

from benchmarks.results import Row, at_most
from mesh.routing.cascade import cascade
from mesh.routing.progress import Progress
from mesh.routing.steps import ModelCall
from mesh.routing.table import Canary, ModelFacts, Route, RouteTable, ShadowRule
from mesh.routing.types import Batch, Scored
from mesh.routing.when import compile_when

TABLE = RouteTable(
    "default",
    (
        Route("baseline", compile_when("always"), send=("rules",)),
        Route(
            "hybrid-anomaly",
            compile_when("confidence >= 0.6"),
            send=("anomaly",),
            shadow=(ShadowRule("degrader"),),
        ),
        Route("canary-rollout", compile_when("rollout == true"), canary=Canary("anomaly", 10)),
    ),
)
FACTS = {name: ModelFacts(name, has_confidence=True) for name in ("rules", "anomaly", "degrader")}
REPEATS = 7


class Canned:
    """A batch of `n` rows, all with `rollout: true`, and models whose answers lie ready: half of them are sure."""

    def __init__(self, n: int) -> None:
        random = np.random.default_rng(n)
        self.batch = Batch(
            {"x": random.random((n, 16), np.float32)},
            [f"request/{row}" for row in range(n)],
            [f"user-{row * 7919}" for row in range(n)],
            {"rollout": [True] * n},
        )
        self._confidence = np.where(np.arange(n) % 2 == 0, 0.9, 0.3).astype(np.float32)
        self._scored: dict[tuple[str, int], Scored] = {}

    def score(self, call: ModelCall) -> Scored:
        """The answer to a call; the same for calls of the same size."""
        n = len(call.rows)
        scored = self._scored.get((call.model, n))
        if scored is None:
            outputs = {"probabilities": np.zeros((n, 4), np.float32)}
            scored = self._scored[call.model, n] = Scored(outputs, self._confidence[:n], "1")
        return scored

    def decide(self) -> Progress:
        """Which model answers which row."""
        progress = Progress(TABLE, FACTS, self.batch, None)
        for route in TABLE.plan.routes:
            if route.when.reads_answer:
                while calls := progress.ask(progress.needed(route)):
                    progress.hear([self.score(call) for call in calls])
            progress.apply(route)
        return progress

    def answer(self) -> object:
        """The whole cascade."""
        steps = cascade(TABLE, FACTS, self.batch)
        step = next(steps)
        while True:
            try:
                step = steps.send([self.score(call) for call in step.calls])
            except StopIteration as done:
                return done.value


def microseconds(work: Callable[[], object], rows: int) -> list[float]:
    """Microseconds a row, `REPEATS` times, over enough runs to last about 50 ms each."""
    timer = timeit.Timer(work)
    runs, took = timer.autorange()
    runs = max(1, round(runs * 0.05 / took))
    return [1e6 * took / runs / rows for took in timer.repeat(REPEATS, runs)]


def rows() -> list[Row]:
    """Both rows of the table."""
    found = []
    for n, target in ((1, 20.0), (256, 1.0)):
        canned = Canned(n)
        whole = microseconds(canned.answer, n)
        note = f"whole cascade with canned results: {sorted(whole)[len(whole) // 2]:.3g} us a row"
        if n > 1:
            large = Canned(5000)
            many = microseconds(large.answer, 5000)
            note += f", {sorted(many)[len(many) // 2]:.2g} at 5,000 rows"
        unit = "us" if n == 1 else "us/row"
        found.append(at_most(f"routing-{n}", unit, microseconds(canned.decide, n), target, note))
    return found
