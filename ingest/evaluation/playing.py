"""Cases played one after the other, with a bar."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.evaluation.cases import Case
from ingest.evaluation.models import LocalModels
from ingest.evaluation.results import Result, judged, together
from ingest.evaluation.trial import Outcome, Trial
from ingest.telemetry.configured import ChainConfig
from mesh.alerts.rules import DIGEST
from mesh.spec import MeshConfig


@dataclass(frozen=True, slots=True)
class Played:
    """A case with what came of it."""

    case: Case
    outcome: Outcome
    result: Result


@dataclass(frozen=True, slots=True)
class Player:
    """Plays cases through a chain, `poll` records at a time, with the alert budget of `alerts.yaml` or without one."""

    chain: ChainConfig
    mesh: MeshConfig
    poll: int
    budget: bool

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that are scored: those declared, and digests where the budget makes some."""
        names = [rule.name for rule in self.chain.policy.rules]
        return (*names, DIGEST) if self.budget else tuple(names)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is kept of every window: what rules read of stages."""
        read = {name for rule in self.chain.policy.rules for name in rule.when.reads}
        return ("z", *sorted(read.difference({"z", *self.chain.features})))

    def play(self, case: Case, progress: Callable[[int], None]) -> Played:
        """One case. Raises what the chain or a model fails with."""
        models = LocalModels(self.chain.plan, self.mesh)
        try:
            outcome = asyncio.run(self._play(case, models, progress))
        finally:
            models.close()
        return Played(case, outcome, judged(case, outcome, self.rules, self.chain.telemetry.grid))

    async def _play(self, case: Case, models: LocalModels, progress: Callable[[int], None]) -> Outcome:
        trial = Trial(self.chain, models.engine(), self.columns, budget=self.budget)
        return await trial.play(case.run, self.poll, progress)


def play_all(player: Player, cases: Sequence[Case], console: Console) -> Iterator[Played]:
    """Each case when it was played; one plain line for each where nobody looks at a bar."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=sum(case.run.expected or 0 for case in cases))
        for number, case in enumerate(cases, 1):
            bar.update(task, description=f"{case.name}, seed {case.run.seed}")
            played = player.play(case, lambda records: bar.advance(task, records))
            if not console.is_terminal:
                console.print(f"{number} of {len(cases)}: {case.name}, seed {case.run.seed}", highlight=False)
            yield played


def by_name(results: Sequence[Result]) -> list[Result]:
    """The runs of each name as one result, in the order in which they came."""
    names = dict.fromkeys(result.name for result in results)
    return [together([one for one in results if one.name == name]) for name in names]
