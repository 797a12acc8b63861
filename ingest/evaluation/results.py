"""The figures of a scenario or file over all its seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.evaluation.cases import Case
from ingest.evaluation.scoring import ANY, Score, Watched, pooled, score
from ingest.evaluation.trial import Effort, Outcome
from mesh.signals.sensors import Grid


@dataclass(frozen=True, slots=True)
class Result:
    """One run, or several of one name. `scores` begin with that of all rules together."""

    name: str
    seeds: tuple[int, ...]
    scores: tuple[Score, ...]
    efforts: tuple[Effort, ...]
    late: int
    dead_lettered: int

    @property
    def records(self) -> int:
        """Raw records that were played."""
        return sum(int(effort.records.sum()) for effort in self.efforts)

    @property
    def records_per_s(self) -> float:
        """Through the whole chain, one poll at a time."""
        return self.records / max(1e-9, sum(float(effort.seconds.sum()) for effort in self.efforts))

    @property
    def p95_s(self) -> float:
        """Of all records, 95 % were decided on within so many seconds of compute time after their poll was read."""
        seconds = np.concatenate([effort.seconds for effort in self.efforts])
        records = np.concatenate([effort.records for effort in self.efforts])
        order = np.argsort(seconds)
        upto = np.cumsum(records[order])
        return float(seconds[order][np.searchsorted(upto, 0.95 * upto[-1])]) if len(upto) else 0.0

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU-seconds of this process for 1,000 readings, making them left out."""
        return 1e3 * sum(effort.cpu_s for effort in self.efforts) / max(1, self.records)


def judged(case: Case, outcome: Outcome, rules: Sequence[str], grid: Grid) -> Result:
    """The result of one run, scored for all rules together and for each."""
    window_ms, hop_ms = round(grid.window * grid.period_ms), round(grid.hop * grid.period_ms)
    watched = Watched(outcome.seen.times(), window_ms, hop_ms, case.run.duration_s / 3_600)
    scores = tuple(score(rule, case.faults, outcome.told, watched) for rule in (ANY, *rules))
    return Result(case.name, (case.run.seed,), scores, (outcome.effort,), outcome.late, outcome.dead_lettered)


def together(results: Sequence[Result]) -> Result:
    """Several runs of one name, at least one, as one result."""
    return Result(
        results[0].name,
        tuple(seed for one in results for seed in one.seeds),
        tuple(pooled(scores) for scores in zip(*(one.scores for one in results), strict=True)),
        tuple(effort for one in results for effort in one.efforts),
        sum(one.late for one in results),
        sum(one.dead_lettered for one in results),
    )
