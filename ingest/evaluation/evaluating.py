"""A scenario under several seeds, played and judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.evaluation.models import OpenedModels
from ingest.evaluation.playing import Played, play
from ingest.evaluation.scoring import Opened, Quality, judge, pooled
from ingest.telemetry.configured import ChainConfig
from mesh.cli.simulating import Wanted, run_of
from mesh.errors import InvalidInput
from mesh.routing.problems import nearest
from mesh.simulation.run import Run
from mesh.simulation.scenario import Scenario

_START = "2026-01-01T00:00:00Z"
"""Any time does: what follows from the records does not depend on it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario and its runs, one a seed."""

    name: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What the runs of a case came to. `rules` holds the quality of each alert rule alone; `played` is the last run."""

    case: Case
    quality: Quality
    rules: Mapping[str, Quality]
    records: int
    dead_letters: int
    records_per_s: float
    cpu_s_per_1000: float
    p95_s: float
    hours: float
    played: Played


def cases_of(
    known: Mapping[str, Scenario],
    chosen: Sequence[str],
    chain: ChainConfig,
    root: Path,
    assets: int,
    seeds: Sequence[int],
    duration_s: float | None,
) -> list[Case]:
    """The runs of the chosen scenarios. Raises `InvalidInput` for one that there is not."""
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InvalidInput("--scenario", f"there is no '{unknown[0]}'{nearest(unknown[0], known)}")
    cases = []
    for name in chosen:
        of = None if known[name].source is not None else assets
        runs = [
            run_of(
                known[name],
                chain.telemetry,
                root,
                Wanted(seed, float("inf"), of, None, duration_s, _START),
                0.0,
            )
            for seed in seeds
        ]
        cases.append(Case(name, tuple(runs)))
    return cases


async def evaluated(
    case: Case, chain: ChainConfig, models: OpenedModels, after_each: Callable[[], None]
) -> Result:
    """Play every run of a case and judge its alerts."""
    played = []
    for run in case.runs:
        played.append(await play(chain, models, run))
        after_each()
    rules = [rule.name for rule in chain.policy.rules]
    records, wall = sum(one.records for one in played), sum(one.wall_s for one in played)
    return Result(
        case=case,
        quality=pooled([_judged(one, chain, None) for one in played]),
        rules={name: pooled([_judged(one, chain, name) for one in played]) for name in rules},
        records=records,
        dead_letters=sum(one.dead_letters for one in played),
        records_per_s=records / wall if wall else 0.0,
        cpu_s_per_1000=1e3 * sum(one.cpu_s for one in played) / max(1, records),
        p95_s=float(np.quantile(np.concatenate([one.decided_s for one in played]), 0.95)),
        hours=sum(run.duration_s for run in case.runs) / 3600,
        played=played[-1],
    )


def _judged(played: Played, chain: ChainConfig, rule: str | None) -> Quality:
    """All alerts of a run, or those of one rule."""
    opened = [
        Opened(event.asset, event.opened_at, event.rule)
        for event in played.events
        if event.kind == "opened" and rule in (None, event.rule)
    ]
    grid, run = chain.telemetry.grid, played.run
    asset_hours = len(run.assets) * run.duration_s / 3600
    return judge(run.truths, opened, played.windows, grid.window * grid.period_ms, asset_hours)
