"""`hyperstream evaluate`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from ingest.evaluation.evaluating import Case, Result, cases_of, evaluated
from ingest.evaluation.models import OpenedModels
from ingest.evaluation.report import page
from ingest.evaluation.table import as_json, as_table
from ingest.telemetry.configured import ChainConfig, load_chain
from mesh.cli import environment
from mesh.errors import InvalidInput
from mesh.spec import load_mesh, load_scenarios

SEEDS: Final = (7,)


def evaluate(
    *,
    scenario: Annotated[
        list[str] | None, typer.Option(help="A scenario in config/scenarios; may be given several times.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every scenario.")] = False,
    assets: Annotated[int, typer.Option(min=1, max=5_000, help="Machines.")] = 50,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="A seed; several are pooled [default: 7]")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=60, help="Seconds of simulated time [default: the scenario's]")
    ] = None,
    as_lines: Annotated[bool, typer.Option("--json", help="JSON, one scenario a line.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots, self-contained.", dir_okay=False)
    ] = None,
    config: Annotated[Path | None, typer.Option(help="The configuration's folder [default: config]")] = None,
) -> None:
    """Run scenarios through the real chain, as fast as it goes, and compare its alerts with the truth.

    Everything that the configuration declares is used: stages, models that they ask, alert rules; the alert budget is not.
    A fault is found where an alert of its machine opens until one window after its end. Nothing has to run.

    For example:

    - `hyperstream evaluate --scenario sensor-stuck --scenario spike`
    - `hyperstream evaluate --all --seed 11 --seed 12 --seed 13 --report evaluation.html`
    """
    settings = environment.settings()
    folder = config or Path(settings.config_dir)
    mesh = load_mesh(folder, settings)
    chain = load_chain(folder, mesh)
    known = load_scenarios(folder, chain.telemetry)
    chosen = list(known) if every else scenario or []
    if not chosen:
        raise InvalidInput("--scenario", f"name one, or --all; there are: {', '.join(known)}")
    cases = cases_of(
        known, chosen, chain, environment.project_root(str(folder)), assets, seed or SEEDS, duration
    )
    models = OpenedModels.of(mesh, chain.plan)
    try:
        results = asyncio.run(_all(cases, chain, models))
    finally:
        models.close()
    if as_lines:
        for result in results:
            sys.stdout.write(json.dumps(as_json(result)) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(as_table(results))
    if report is not None:
        report.write_text(page(results), encoding="utf-8")
        sys.stderr.write(f"written to {report}\n")


async def _all(cases: list[Case], chain: ChainConfig, models: OpenedModels) -> list[Result]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=sum(len(case.runs) for case in cases))
        results = []
        for case in cases:
            progress.update(bar, description=case.name)
            results.append(await evaluated(case, chain, models, lambda: progress.advance(bar)))
    return results
